//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd || windows)

package storage

import (
	"errors"
	"fmt"
	"os"
	"runtime"
)

// lockFile refuses: without a lock two processes could write the same dots.
func lockFile(*os.File) (bool, error) {
	return false, fmt.Errorf("locking a directory on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}
