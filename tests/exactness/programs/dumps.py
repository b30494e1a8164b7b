"""faulthandler: tracebacks of all threads, from signals that strike calls that block, and of a crash."""
import ctypes
import faulthandler
import os
import signal
import sys
import threading
import time

reading, writing = os.pipe()
started = threading.Barrier(4)


def blocks_in_read():
    started.wait()
    os.read(reading, 1)


def blocks_in_sleep():
    started.wait()
    time.sleep(1.2)


def blocks_in_lock(lock):
    started.wait()
    with lock:
        pass


def asks_for_it(number):
    os.kill(os.getpid(), number)
    time.sleep(0.1)


lock = threading.Lock()
lock.acquire()
threads = [threading.Thread(target=function, args=arguments, name=function.__name__)
           for function, arguments in ((blocks_in_read, ()), (blocks_in_sleep, ()), (blocks_in_lock, (lock,)))]
for thread in threads:
    thread.start()
started.wait()
time.sleep(0.2)
faulthandler.register(signal.SIGUSR1, all_threads=True)
asks_for_it(signal.SIGUSR1)
signal.signal(signal.SIGUSR2, lambda number, frame: faulthandler.dump_traceback(all_threads=True))
asks_for_it(signal.SIGUSR2)
# While the main thread waits in a call, sent by a child.
child = os.fork()
if child == 0:
    time.sleep(0.1)
    os.kill(os.getppid(), signal.SIGUSR1)
    os._exit(0)
os.waitpid(child, 0)
faulthandler.dump_traceback_later(0.1)
time.sleep(0.3)
faulthandler.unregister(signal.SIGUSR1)
os.write(writing, b"x")
lock.release()
for thread in threads:
    thread.join()
faulthandler.enable()
print("now it crashes", flush=True)
sys.stderr.flush()
ctypes.string_at(8)
