package storage

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// holderFile names the process that has the directory open: its pid. The lock on the file
// is what counts, and ends with the process; a pid left in an unlocked file says
// that its process ended without Close.
const holderFile = "holder"

// ErrInUse is wrapped by the error of Open for a directory that is open already, in
// this process or another one. End that one first, or speak to it.
var ErrInUse = errors.New("storage: directory in use")

// holder is a held directory.
type holder struct {
	file *os.File
	// unclean: the last holder ended without Close.
	unclean bool
}

// hold takes dir for this process, or returns an error wrapping ErrInUse.
func hold(dir string) (*holder, error) {
	path := filepath.Join(dir, holderFile)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("hold directory: %w", err)
	}
	locked, err := lockFile(f)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
	text, err := io.ReadAll(io.LimitReader(f, 64))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read %s: %w", path, err), f.Close())
	}
	pid := strings.TrimSpace(string(text))
	if !locked {
		return nil, errors.Join(inUse(dir, pid), f.Close())
	}
	h := &holder{file: f, unclean: pid != ""}
	if err := h.write(strconv.Itoa(os.Getpid()) + "\n"); err != nil {
		return nil, errors.Join(fmt.Errorf("write %s: %w", path, err), f.Close())
	}
	return h, nil
}

func inUse(dir, pid string) error {
	switch {
	case pid == strconv.Itoa(os.Getpid()):
		return fmt.Errorf("%w: %s is open already, in this process (pid %s)", ErrInUse, dir, pid)
	case pid != "":
		return fmt.Errorf("%w: %s is held by process %s", ErrInUse, dir, pid)
	}
	return fmt.Errorf("%w: %s is held by a process that did not say its pid", ErrInUse, dir)
}

func (h *holder) write(text string) error {
	if err := h.file.Truncate(0); err != nil {
		return err
	}
	if _, err := h.file.WriteAt([]byte(text), 0); err != nil {
		return err
	}
	// Durable, so that a power cut is noticed as an unclean end too.
	return h.file.Sync()
}

// release lets go of the directory. clean says that all is written and closed.
func (h *holder) release(clean bool) error {
	var err error
	if clean {
		err = h.write("")
	}
	return errors.Join(err, h.file.Close())
}
