// Go's CPU profile and asynchronous preemption: what interrupts anything has to say where it was.
//
//	profile FILE     a CPU profile of known functions, one of which makes system calls
//	profile preempt  goroutines that never call anything share one thread with others
package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"sync/atomic"
	"syscall"
	"time"
)

//go:noinline
func makesCalls(until time.Time) (count int) {
	for time.Now().Before(until) {
		for i := 0; i < 200; i++ {
			syscall.RawSyscall(syscall.SYS_GETPPID, 0, 0, 0)
			syscall.Syscall(syscall.SYS_GETPRIORITY, 0, 0, 0)
			count++
		}
	}
	return count
}

//go:noinline
func computes(until time.Time) (sum uint64) {
	for time.Now().Before(until) {
		for i := uint64(0); i < 100000; i++ {
			sum = sum*6364136223846793005 + i
		}
	}
	return sum
}

func profile(name string) {
	file, err := os.Create(name)
	if err != nil {
		panic(err)
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		panic(err)
	}
	makesCalls(time.Now().Add(700 * time.Millisecond))
	computes(time.Now().Add(300 * time.Millisecond))
	pprof.StopCPUProfile()
	file.Close()
	fmt.Println("profiled")
}

var stop uint32

//go:noinline
func neverCalls(sum *uint64) {
	for atomic.LoadUint32(&stop) == 0 {
		*sum = *sum*6364136223846793005 + 1
	}
}

func preempt() {
	runtime.GOMAXPROCS(2)
	var sums [2]uint64
	done := make(chan int)
	for i := range sums {
		go func(i int) { neverCalls(&sums[i]); done <- i }(i)
	}
	// Each collection has to stop them all; each of these has to get its turn.
	for round := 0; round < 3; round++ {
		runtime.GC()
		data, err := os.ReadFile("/proc/self/stat")
		if err != nil || len(data) == 0 {
			panic(err)
		}
		answer := make(chan int)
		go func() { answer <- syscall.Getpid() }()
		if <-answer != os.Getpid() {
			panic("pid")
		}
	}
	atomic.StoreUint32(&stop, 1)
	for range sums {
		<-done
	}
	fmt.Println("preempted", len(sums))
}

func main() {
	if os.Args[1] == "preempt" {
		preempt()
		return
	}
	profile(os.Args[1])
}
