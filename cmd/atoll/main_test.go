package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// program is the binary under test, built once, when the first test asks for it: fuzz workers never do.
var program = sync.OnceValues(func() (string, error) {
	tmp, err := os.MkdirTemp("", "atoll-test-")
	if err != nil {
		return "", err
	}
	programDir = tmp
	path := filepath.Join(tmp, "atoll")
	if out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

var programDir string

func TestMain(m *testing.M) {
	status := m.Run()
	if programDir != "" {
		os.RemoveAll(programDir)
	}
	os.Exit(status)
}

// patience is how long a test waits for what must come about.
const patience = 60 * time.Second

// device is a data directory and the binary that works on it.
type device struct {
	t    *testing.T
	name string
	dir  string
}

func newDevice(t *testing.T, name string) *device {
	return &device{t, name, filepath.Join(t.TempDir(), name)}
}

// command returns a command line of the binary that works on the device.
func (d *device) command(args ...string) *exec.Cmd {
	d.t.Helper()
	path, err := program()
	if err != nil {
		d.t.Fatal(err)
	}
	cmd := exec.Command(path, append([]string{"--dir", d.dir}, args...)...)
	cmd.Env = append(os.Environ(), "HOME="+filepath.Dir(d.dir), "XDG_DATA_HOME=")
	return cmd
}

// run runs a command line and returns what it printed and its exit status.
func (d *device) run(args ...string) (stdout, stderr string, status int) {
	d.t.Helper()
	return d.finish(d.command(args...))
}

func (d *device) finish(cmd *exec.Cmd) (stdout, stderr string, status int) {
	d.t.Helper()
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		d.t.Fatalf("%s: %v", cmd, err)
	}
	return out.String(), errOut.String(), cmd.ProcessState.ExitCode()
}

// ok runs a command line that must succeed and returns its standard output.
func (d *device) ok(args ...string) string {
	d.t.Helper()
	out, errOut, status := d.run(args...)
	if status != exitOK {
		d.t.Fatalf("%s: atoll %s: exit status %d\n%s%s", d.name, strings.Join(args, " "), status, out, errOut)
	}
	return out
}

// fails runs a command line that must end with the status, and say every one of the words on standard error.
func (d *device) fails(status int, args []string, words ...string) {
	d.t.Helper()
	out, errOut, got := d.run(args...)
	if got != status {
		d.t.Errorf("%s: atoll %s: exit status %d, want %d\n%s%s", d.name, strings.Join(args, " "), got, status, out, errOut)
	}
	for _, w := range words {
		if !strings.Contains(errOut, w) {
			d.t.Errorf("%s: atoll %s says %q, without %q", d.name, strings.Join(args, " "), errOut, w)
		}
	}
}

// prints runs a command line whose standard output must be want and a line end.
func (d *device) prints(want string, args ...string) {
	d.t.Helper()
	if got := strings.TrimSuffix(d.ok(args...), "\n"); got != want {
		d.t.Errorf("%s: atoll %s printed %q, want %q", d.name, strings.Join(args, " "), got, want)
	}
}

// decode runs a command line with --json and reads the one value it prints.
func decode[T any](d *device, args ...string) T {
	d.t.Helper()
	var v T
	out := d.ok(append(args, "--json")...)
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		d.t.Fatalf("%s: atoll %s: %v in %q", d.name, strings.Join(args, " "), err, out)
	}
	return v
}

// decodeLines runs a command line with --json and reads the lines it prints.
func decodeLines[T any](d *device, args ...string) []T {
	d.t.Helper()
	var out []T
	for line := range strings.Lines(d.ok(append(args, "--json")...)) {
		var v T
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			d.t.Fatalf("%s: atoll %s: %v in %q", d.name, strings.Join(args, " "), err, line)
		}
		out = append(out, v)
	}
	return out
}

// process is a running node.
type process struct {
	d    *device
	cmd  *exec.Cmd
	log  *bytes.Buffer
	done chan error
}

// start starts the device's node on loopback and waits until it listens.
func (d *device) start(args ...string) *process {
	d.t.Helper()
	cmd := d.command(append([]string{"start", "--no-mdns", "--listen", "/ip4/127.0.0.1/tcp/0", "--listen", "/ip4/127.0.0.1/udp/0/quic-v1"}, args...)...)
	p := &process{d: d, cmd: cmd, log: &bytes.Buffer{}, done: make(chan error, 1)}
	cmd.Stderr = p.log
	if err := cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	go func() { p.done <- cmd.Wait() }()
	d.t.Cleanup(func() {
		if cmd.ProcessState == nil {
			cmd.Process.Kill()
			<-p.done
		}
	})
	wait(d.t, d.name+" listens", func() bool {
		select {
		case err := <-p.done:
			d.t.Fatalf("%s: atoll start ended: %v\n%s", d.name, err, p.log)
		default:
		}
		c := dialNode(context.Background(), d.dir)
		if c == nil {
			return false
		}
		c.close()
		return len(decode[deviceStatus](d, "status").Addrs) > 0
	})
	return p
}

// addr returns an address of the node.
func (p *process) addr() string {
	p.d.t.Helper()
	return decode[deviceStatus](p.d, "status").Addrs[0]
}

// stop ends the node as an operator does, and expects it to end well.
func (p *process) stop() {
	p.d.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.d.t.Fatal(err)
	}
	if err := <-p.done; err != nil {
		p.d.t.Fatalf("%s: atoll start ended with %v after SIGTERM\n%s", p.d.name, err, p.log)
	}
	if _, err := os.Lstat(filepath.Join(p.d.dir, socketName)); !errors.Is(err, os.ErrNotExist) {
		p.d.t.Errorf("%s: the control socket is still there: %v", p.d.name, err)
	}
}

// kill ends the node without warning.
func (p *process) kill() {
	p.d.t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		p.d.t.Fatal(err)
	}
	<-p.done
}

// wait polls until done.
func wait(t *testing.T, what string, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := poll(ctx, done); err != nil {
		t.Fatalf("waited %v in vain until %s", patience, what)
	}
}

// traces returns the recorded sessions, or skips the test where there are none.
func traces(t *testing.T, pattern string) []string {
	t.Helper()
	dir := os.Getenv("ATOLL_TRACES")
	if dir == "" {
		t.Skip("set ATOLL_TRACES to a directory of recorded editing sessions to replay them")
	}
	files, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Skipf("no %s in %s", pattern, dir)
	}
	return files
}
