// What the JVM does by SIGSEGV, and what it shows of threads that wait in the kernel.
import java.io.PipedInputStream;
import java.net.ServerSocket;

public class Faults {
  int field = 7;

  static int deep(int n) { return deep(n + 1) + 1; }

  static int loads(Faults object) { return object.field; }

  static void blocksInAccept() {
    try (ServerSocket socket = new ServerSocket(0)) {
      socket.accept();
    } catch (Exception ignored) {
    }
  }

  static void blocksInSleep() {
    try {
      Thread.sleep(60_000);
    } catch (InterruptedException ignored) {
    }
  }

  public static void main(String[] arguments) throws Exception {
    // Compiled code tests for null by a fault.
    int nulls = 0;
    Faults good = new Faults();
    long sum = 0;
    for (int i = 0; i < 3_000_000; i++) {
      try {
        sum += loads(i % 100_000 == 99_999 ? null : good);
      } catch (NullPointerException e) {
        nulls++;
      }
    }
    System.out.println(nulls + " null pointers, sum " + sum);
    int overflows = 0;
    for (int i = 0; i < 20; i++) {
      try {
        deep(0);
      } catch (StackOverflowError e) {
        overflows++;
      }
    }
    System.out.println(overflows + " stacks used up");
    // Collections have to stop threads that wait, call, and compute.
    Thread waits = new Thread(Faults::blocksInAccept, "accepts"), sleeps = new Thread(Faults::blocksInSleep, "sleeps");
    waits.setDaemon(true);
    sleeps.setDaemon(true);
    waits.start();
    sleeps.start();
    for (int i = 0; i < 20; i++) {
      System.gc();
      byte[][] garbage = new byte[100][];
      for (int j = 0; j < garbage.length; j++) garbage[j] = new byte[100_000];
      sum += garbage[i].length;
    }
    // While all of them wait, the main thread for this child.
    String[] shell = {"sh", "-c", "sleep 0.6; kill -QUIT " + ProcessHandle.current().pid() + "; sleep 0.6"};
    new ProcessBuilder(shell).inheritIO().start().waitFor();
    System.out.println("done " + sum);
    System.exit(3);
  }
}
