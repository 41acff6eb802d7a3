package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// realDevice is a device of a simulation with real processes.
type realDevice struct {
	run   *realRun
	name  string
	index int
	dir   string
	id    string // public key, in hex
	port  int    // where it listens, TCP

	proc *realProcess // nil: not running

	// Guarded by run.mu.
	acked    []string // the dots of what it was told is durable
	writeErr error    // why writing failed while it ran
	kills    int      // who writes to it while it is killed, or down, may fail
	dead     bool
}

// realProcess is atoll start, running.
type realProcess struct {
	cmd  *exec.Cmd
	log  bytes.Buffer // read after done
	done chan struct{}
	err  error // of Wait, after done
}

// start runs the device's node and waits until it listens.
func (d *realDevice) start(ctx context.Context) error {
	p := &realProcess{cmd: d.run.net.command(d.index, d.run.opts.Program, "--dir", d.dir, "start"), done: make(chan struct{})}
	p.cmd.Stderr = &p.log
	if err := p.cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", d.name, err)
	}
	d.proc = p
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	var status deviceStatus
	err := poll(ctx, func() bool {
		select {
		case <-p.done:
			return true
		default:
		}
		return d.ask(ctx, http.MethodGet, "/v1/status", &status) == nil && tcpPort(status.Addrs) != 0
	})
	select {
	case <-p.done:
		return fmt.Errorf("%s ended as soon as it was started: %v: %s", d.name, p.err, shorten(p.log.String(), 2000))
	default:
	}
	if err != nil {
		return fmt.Errorf("wait until %s listens: %w", d.name, err)
	}
	d.id, d.port = status.Device, tcpPort(status.Addrs)
	d.run.mu.Lock()
	d.dead = false
	d.run.mu.Unlock()
	return nil
}

// tcpPort returns the port of the first TCP address.
func tcpPort(addrs []string) int {
	for _, addr := range addrs {
		if _, rest, ok := strings.Cut(addr, "/tcp/"); ok {
			text, _, _ := strings.Cut(rest, "/")
			if port, err := strconv.Atoi(text); err == nil {
				return port
			}
		}
	}
	return 0
}

// kill ends the node without warning, and says by what signal it ended.
func (d *realDevice) kill() (string, error) {
	d.run.mu.Lock()
	d.kills++
	d.dead = true
	d.run.mu.Unlock()
	p := d.proc
	if err := p.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		return "", fmt.Errorf("kill %s: %w", d.name, err)
	}
	<-p.done
	d.proc = nil
	status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() || status.Signal() != syscall.SIGKILL {
		return "", nil
	}
	return "the process ended by signal: " + status.Signal().String(), nil
}

// stop ends the node as an operator does.
func (d *realDevice) stop(ctx context.Context) error {
	p := d.proc
	if p == nil {
		return nil
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop %s: %w", d.name, err)
	}
	select {
	case <-p.done:
	case <-time.After(20 * time.Second):
		return fmt.Errorf("%s did not stop within 20 s of SIGTERM", d.name)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	d.proc = nil
	if p.err != nil {
		return fmt.Errorf("%s ended with %w: %s", d.name, p.err, shorten(p.log.String(), 2000))
	}
	return nil
}

// end makes sure that no process is left.
func (d *realDevice) end() error {
	p := d.proc
	if p == nil {
		return nil
	}
	d.proc = nil
	select {
	case <-p.done:
		return fmt.Errorf("%s ended by itself: %v: %s", d.name, p.err, shorten(p.log.String(), 2000))
	default:
	}
	err := p.cmd.Process.Kill()
	<-p.done
	return err
}

// ask asks the running node.
func (d *realDevice) ask(ctx context.Context, method, path string, out any) error {
	return d.send(ctx, method, path, nil, out)
}

func (d *realDevice) send(ctx context.Context, method, path string, in, out any) error {
	c := dialNode(ctx, d.dir)
	if c == nil {
		return fmt.Errorf("%s: %w", d.name, errNoNode)
	}
	defer c.close()
	return c.call(ctx, method, path, in, out)
}

// output runs a command line on the device's directory and returns what it printed.
func (d *realDevice) output(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, d.run.opts.Program, append([]string{"--dir", d.dir, "--json"}, args...)...)
	cmd.WaitDelay = 5 * time.Second
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil {
		return out.String(), &commandError{d.name, args, err, errOut.String()}
	}
	return out.String(), nil
}

// commandError is a command line that failed.
type commandError struct {
	device string
	args   []string
	err    error
	stderr string
}

func (e *commandError) Error() string {
	return fmt.Sprintf("%s: atoll %s: %v: %s", e.device, strings.Join(e.args, " "), e.err, shorten(strings.TrimSpace(e.stderr), 500))
}

func (e *commandError) Unwrap() error { return e.err }

// cli runs a command line and reads the one value it prints into out, which may be nil.
func (d *realDevice) cli(ctx context.Context, out any, args ...string) error {
	text, err := d.output(ctx, args...)
	if err != nil || out == nil {
		return err
	}
	return json.Unmarshal([]byte(text), out)
}

// log returns the dots of all changes that the device holds.
func (d *realDevice) log(ctx context.Context) (map[string]bool, error) {
	c := dialNode(ctx, d.dir)
	if c == nil {
		return nil, fmt.Errorf("%s: %w", d.name, errNoNode)
	}
	defer c.close()
	held := map[string]bool{}
	err := lines(ctx, c, http.MethodGet, storePath(realStore, "log", "limit", "0"), nil, func(l logged) error {
		held[l.Dot] = true
		return nil
	})
	return held, err
}

// count returns how many changes the device was told are durable.
func (d *realDevice) count() int {
	d.run.mu.Lock()
	defer d.run.mu.Unlock()
	return len(d.acked)
}

// errRefused is an edit that does not fit what stands at its place, or has nothing to change.
var errRefused = errors.New("refused")

// write makes one edit through the socket and returns the dot it got.
func (d *realDevice) write(ctx context.Context, e edit) (string, error) {
	var out edited
	var err error
	if e.Do == "undo" {
		err = d.send(ctx, http.MethodPost, storePath(realStore, "undo"), undo{}, &out)
	} else {
		err = d.send(ctx, http.MethodPost, storePath(realStore, "edit"), e, &out)
	}
	var f *failure
	switch {
	case errors.As(err, &f) && refusal(f.Message):
		return "", errRefused
	case err == nil && out.Dot == "":
		return "", errRefused
	}
	return out.Dot, err
}

// writeByCommand makes one edit by a command line, a process of its own. While no node runs it opens the directory itself.
func (d *realDevice) writeByCommand(ctx context.Context, e edit) (string, error) {
	var out edited
	err := d.cli(ctx, &out, commandOf(e)...)
	var c *commandError
	switch {
	case errors.As(err, &c) && refusal(c.stderr):
		return "", errRefused
	case err == nil && out.Dot == "":
		return "", errRefused
	}
	return out.Dot, err
}

// refusal reports whether text says that an edit does not fit what stands at its place.
func refusal(text string) bool {
	for _, words := range []string{"no place", "nothing at", "none from", "cannot delete", "out of range", "has written nothing"} {
		if strings.Contains(text, words) {
			return true
		}
	}
	return false
}

// writeAll makes random edits until ctx ends, and remembers what is acknowledged.
func (d *realDevice) writeAll(ctx context.Context, rng *rand.Rand, write func(context.Context, edit) (string, error)) {
	for n := 0; ctx.Err() == nil; n++ {
		kind, e := randomEdit(rng, d.name, n)
		d.run.mu.Lock()
		kills, dead := d.kills, d.dead
		d.run.mu.Unlock()
		dot, err := write(ctx, e)
		d.run.mu.Lock()
		switch {
		case err == nil:
			d.acked = append(d.acked, dot)
			d.run.report.Kinds[kind]++
		case errors.Is(err, errRefused):
			d.run.report.Refused++
		case ctx.Err() != nil || dead || d.dead || d.kills != kills:
			// It was killed, or nobody waits for the answer.
		default:
			d.writeErr = errors.Join(d.writeErr, fmt.Errorf("%s: %s: %w", d.name, kind, err))
			d.run.mu.Unlock()
			return
		}
		d.run.mu.Unlock()
		pause := 5 * time.Millisecond
		if err != nil && !errors.Is(err, errRefused) {
			pause = 50 * time.Millisecond
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}
