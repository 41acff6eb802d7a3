package storage

import (
	"errors"
	"os"
	"syscall"
	"unsafe"
)

// lockFileEx is not in package syscall.
var lockFileEx = syscall.NewLazyDLL("kernel32.dll").NewProc("LockFileEx")

// lockFile takes the lock on f without waiting, and reports whether it got it. The lock
// ends when f is closed or the process ends, however it ends.
func lockFile(f *os.File) (bool, error) {
	const (
		failImmediately = 1
		exclusive       = 2
		lockViolation   = syscall.Errno(33)
	)
	// The byte that is locked lies far behind the pid, which others must be able to read.
	at := &syscall.Overlapped{OffsetHigh: 1}
	ok, _, err := lockFileEx.Call(f.Fd(), failImmediately|exclusive, 0, 1, 0, uintptr(unsafe.Pointer(at)))
	if ok != 0 {
		return true, nil
	}
	if errors.Is(err, lockViolation) || errors.Is(err, syscall.ERROR_IO_PENDING) {
		return false, nil
	}
	return false, err
}
