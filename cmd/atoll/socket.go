package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
)

// socketName is the control socket of the node that runs in a data directory.
const socketName = "control.sock"

// maxSocketPath is the longest path a socket is reached by directly. Systems end at 104 to 108 bytes.
const maxSocketPath = 100

// shortPath returns a path to dir/name that a socket call accepts, and a function that removes what it
// took: if the path itself is too long, a link to dir in the temporary directory.
func shortPath(dir, name string) (string, func(), error) {
	path := filepath.Join(dir, name)
	if len(path) <= maxSocketPath {
		return path, func() {}, nil
	}
	tmp, err := os.MkdirTemp("", "atoll")
	if err != nil {
		return "", nil, err
	}
	remove := func() { os.RemoveAll(tmp) }
	link := filepath.Join(tmp, "d")
	if err := os.Symlink(dir, link); err != nil {
		remove()
		return "", nil, err
	}
	path = filepath.Join(link, name)
	if len(path) > maxSocketPath {
		remove()
		return "", nil, fmt.Errorf("the temporary directory %s is too deep for a socket", os.TempDir())
	}
	return path, remove, nil
}

// listenControl makes dir's control socket, mode 0600, in place of one that a killed node
// left. The caller holds the directory's lock, so there is no other node. The
// returned function removes the socket; closing the listener is the caller's.
func listenControl(dir string) (net.Listener, func() error, error) {
	// Made in a directory of its own that nobody else can enter, it is never open to others.
	private, err := os.MkdirTemp(dir, "control-")
	if err != nil {
		return nil, nil, err
	}
	defer os.RemoveAll(private)
	short, remove, err := shortPath(private, socketName)
	if err != nil {
		return nil, nil, err
	}
	defer remove()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: short, Net: "unix"})
	if err != nil {
		return nil, nil, err
	}
	l.SetUnlinkOnClose(false) // its name changes below
	made, path := filepath.Join(private, socketName), filepath.Join(dir, socketName)
	if err := errors.Join(os.Chmod(made, 0o600), os.Rename(made, path)); err != nil {
		return nil, nil, errors.Join(err, l.Close())
	}
	return l, func() error { return os.Remove(path) }, nil
}

// errNoNode is returned by dialControl when no node listens in the directory: the caller may open it itself.
var errNoNode = errors.New("atoll: no node runs here")

// dialControl connects to the node that runs in dir.
func dialControl(ctx context.Context, dir string) (net.Conn, error) {
	short, remove, err := shortPath(dir, socketName)
	if err != nil {
		return nil, err
	}
	defer remove()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", short)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil, errNoNode
	}
	return conn, err
}
