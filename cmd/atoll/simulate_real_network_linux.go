package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// realNetwork is a network namespace a device, each with one link to a bridge in one more namespace, the hub. A second bridge there
// takes the links of devices that are cut off: a port that changes bridges gives no sign to either end.
//
// Everything is in namespaces that carry the process's number in their names, so deleting those leaves nothing behind, and
// what a run that was killed left is found by the next.
type realNetwork struct {
	prefix   string
	devices  int
	hub      string
	made     []string // namespaces
	away     []int    // cut off
	delay    string   // what links add
	leftover []string // namespaces of dead runs, removed
}

const (
	namespaceDir    = "/run/netns"
	namespacePrefix = "atoll-sim-"
	netnsDelay      = "20ms"
	netnsJitter     = "5ms"
	netnsLoss       = "0.5%"
)

// missingForReal says what this machine lacks.
func missingForReal() []string {
	var out []string
	if os.Geteuid() != 0 {
		out = append(out, "it takes root, to make network namespaces: try sudo")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		out = append(out, "the command ip is not here: install iproute2")
	}
	if len(out) > 0 {
		return out
	}
	// Root in a container may still not be allowed to.
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	name := namespaceName("probe")
	if err := ip(ctx, "netns", "add", name); err != nil {
		return append(out, fmt.Sprintf("network namespaces cannot be made: %v", err))
	}
	for _, args := range [][]string{{"link", "add", "bridge0", "type", "bridge"}, {"link", "add", "port0", "type", "veth", "peer", "name", "peer0"}} {
		if err := ip(ctx, append([]string{"-n", name}, args...)...); err != nil {
			out = append(out, fmt.Sprintf("the kernel lacks %s links: %v", args[4], err))
		}
	}
	if err := ip(ctx, "netns", "del", name); err != nil {
		out = append(out, fmt.Sprintf("network namespaces cannot be removed: %v", err))
	}
	return out
}

func namespaceName(what string) string {
	return fmt.Sprintf("%s%d-%s", namespacePrefix, os.Getpid(), what)
}

// ip runs the command ip.
func ip(ctx context.Context, args ...string) error { return tool(ctx, "ip", args...) }

func tool(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.WaitDelay = time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// newRealNetwork makes a network in which all devices reach each other. On error nothing is left of it.
func newRealNetwork(ctx context.Context, devices int) (*realNetwork, error) {
	n := &realNetwork{prefix: namespaceName(""), devices: devices, hub: namespaceName("hub")}
	var err error
	if n.leftover, err = removeLeftovers(ctx); err != nil {
		return nil, err
	}
	if err := n.build(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("make the network: %w", err), n.close())
	}
	return n, nil
}

func (n *realNetwork) build(ctx context.Context) error {
	if err := n.namespace(ctx, n.hub); err != nil {
		return err
	}
	for _, bridge := range []string{"together", "apart"} {
		if err := ip(ctx, "-n", n.hub, "link", "add", bridge, "type", "bridge"); err != nil {
			return err
		}
		if err := ip(ctx, "-n", n.hub, "link", "set", bridge, "up"); err != nil {
			return err
		}
	}
	for i := range n.devices {
		ns := n.device(i)
		if err := n.namespace(ctx, ns); err != nil {
			return err
		}
		for _, args := range [][]string{
			{"link", "add", port(i), "netns", n.hub, "type", "veth", "peer", "name", "eth0", "netns", ns},
			{"-n", n.hub, "link", "set", port(i), "master", "together"},
			{"-n", n.hub, "link", "set", port(i), "up"},
			{"-n", ns, "addr", "add", address(i) + "/24", "dev", "eth0"},
			{"-n", ns, "link", "set", "eth0", "up"},
			{"-n", ns, "route", "add", "default", "dev", "eth0"}, // multicast DNS wants one
		} {
			if err := ip(ctx, args...); err != nil {
				return err
			}
		}
	}
	n.slow(ctx)
	return nil
}

// slow adds latency and loss to every link, if the kernel can.
func (n *realNetwork) slow(ctx context.Context) {
	for i := range n.devices {
		err := tool(ctx, "tc", "-n", n.device(i), "qdisc", "add", "dev", "eth0", "root", "netem", "delay", netnsDelay, netnsJitter, "loss", netnsLoss)
		if err != nil {
			n.delay = "no latency or loss added: this kernel has no netem"
			return
		}
	}
	n.delay = fmt.Sprintf("each link adds %s ± %s and loses %s", netnsDelay, netnsJitter, netnsLoss)
}

func (n *realNetwork) namespace(ctx context.Context, name string) error {
	if err := ip(ctx, "netns", "add", name); err != nil {
		return err
	}
	n.made = append(n.made, name)
	return ip(ctx, "-n", name, "link", "set", "lo", "up")
}

func (n *realNetwork) device(i int) string { return n.prefix + string(rune('a'+i)) }

func port(i int) string { return "port" + strconv.Itoa(i) }

// address is private, and known in the namespaces alone.
func address(i int) string { return "10.77.0." + strconv.Itoa(i+1) }

// cut moves the links of devices to the other bridge.
func (n *realNetwork) cut(ctx context.Context, devices []int) error {
	for _, i := range devices {
		if err := ip(ctx, "-n", n.hub, "link", "set", port(i), "master", "apart"); err != nil {
			return err
		}
		n.away = append(n.away, i)
	}
	return nil
}

// heal moves all links back.
func (n *realNetwork) heal(ctx context.Context) error {
	for _, i := range n.away {
		if err := ip(ctx, "-n", n.hub, "link", "set", port(i), "master", "together"); err != nil {
			return err
		}
	}
	n.away = nil
	return nil
}

// command returns a command that runs in a device's namespace, and dies with this process.
func (n *realNetwork) command(device int, program string, args ...string) *exec.Cmd {
	cmd := exec.Command("ip", append([]string{"netns", "exec", n.device(device), program}, args...)...)
	// A group of its own: a Ctrl-C at the terminal is for this process, which then ends the others.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// attemptPatience is how long an attempt to connect may take: many times what it takes if nothing is cut.
const attemptPatience = time.Second

// reaches tries to connect by TCP from one device to a port of another, and reports whether that got through. An error
// is one of this machine, not of the network.
func (n *realNetwork) reaches(from, to, port int) (bool, error) {
	runtime.LockOSThread()
	back, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		runtime.UnlockOSThread()
		return false, err
	}
	defer back.Close()
	through, err := n.attempt(from, to, port)
	// The thread must not end in the other namespace, nor end at all: devices that it started die with it.
	if e := unix.Setns(int(back.Fd()), unix.CLONE_NEWNET); e != nil {
		return false, errors.Join(err, fmt.Errorf("leave the namespace of a device: %w", e))
	}
	runtime.UnlockOSThread()
	return through, err
}

func (n *realNetwork) attempt(from, to, port int) (bool, error) {
	ns, err := os.Open(filepath.Join(namespaceDir, n.device(from)))
	if err != nil {
		return false, err
	}
	defer ns.Close()
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
		return false, fmt.Errorf("enter the namespace of a device: %w", err)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false, err
	}
	defer unix.Close(fd)
	switch err := unix.Connect(fd, &unix.SockaddrInet4{Port: port, Addr: [4]byte{10, 77, 0, byte(to + 1)}}); err {
	case nil:
		return true, nil
	case unix.EINPROGRESS:
	case unix.EHOSTUNREACH, unix.ENETUNREACH, unix.ECONNREFUSED:
		return false, nil
	default:
		return false, err
	}
	end := time.Now().Add(attemptPatience)
	for {
		left := time.Until(end)
		if left <= 0 {
			return false, nil
		}
		ready, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, int(left.Milliseconds())+1)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || ready == 0 {
			return false, err
		}
		code, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
		return code == 0, err
	}
}

// close takes the network away, whatever became of the caller's context.
func (n *realNetwork) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var errs []error
	for _, name := range n.made {
		errs = append(errs, ip(ctx, "netns", "del", name))
	}
	n.made = nil
	return errors.Join(errs...)
}

// removeLeftovers removes the namespaces of runs whose process is no more. Devices that ran in them died with it.
func removeLeftovers(ctx context.Context) ([]string, error) {
	entries, err := os.ReadDir(namespaceDir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	var removed []string
	for _, e := range entries {
		rest, ok := strings.CutPrefix(e.Name(), namespacePrefix)
		if !ok {
			continue
		}
		text, _, _ := strings.Cut(rest, "-")
		pid, err := strconv.Atoi(text)
		if err != nil || pid <= 0 {
			continue
		}
		if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
			continue
		}
		if err := ip(ctx, "netns", "del", e.Name()); err != nil {
			return removed, fmt.Errorf("remove what an earlier run left: %w", err)
		}
		removed = append(removed, e.Name())
	}
	return removed, nil
}
