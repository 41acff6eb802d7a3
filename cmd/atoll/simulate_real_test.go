//go:build linux

package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// simulateForReal returns a command line that simulates with real processes, or skips the test where that cannot be done.
func simulateForReal(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	if missing := missingForReal(); len(missing) > 0 {
		t.Skipf("real processes in network namespaces are not to be had here: %s", strings.Join(missing, "; "))
	}
	cmd := newDevice(t, "unused").command(append([]string{"simulate", "--real", "--devices", "3", "--cut", "4s"}, args...)...)
	tmp := t.TempDir()
	cmd.Env = append(cmd.Env, "TMPDIR="+tmp)
	t.Cleanup(func() {
		if left := namespacesOf(cmd); len(left) > 0 {
			t.Errorf("network namespaces are left: %v", left)
		}
	})
	return cmd
}

// namespacesOf lists the namespaces of a run.
func namespacesOf(cmd *exec.Cmd) []string {
	if cmd.Process == nil {
		return nil
	}
	all, err := filepath.Glob(filepath.Join("/run/netns", "atoll-sim-*"))
	if err != nil {
		panic(err) // of the pattern
	}
	return slices.DeleteFunc(all, func(path string) bool {
		return !strings.HasPrefix(filepath.Base(path), "atoll-sim-"+strconv.Itoa(cmd.Process.Pid)+"-")
	})
}

// TestSimulateReal runs real nodes through a silent cut and a kill.
func TestSimulateReal(t *testing.T) {
	cmd := simulateForReal(t, "--json")
	d := newDevice(t, "run")
	out, errOut, status := d.finish(cmd)
	var report realReport
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatalf("exit status %d, %v in %q\n%s", status, err, out, errOut)
	}
	if status != exitOK || !report.Passed {
		t.Errorf("exit status %d: %s\n%s", status, out, errOut)
	}
	if len(report.Faults) != 2 || len(report.Checks) != 7 || report.Acked < 100 || report.Changes < report.Acked {
		t.Errorf("not what was to be done: %s", out)
	}
	for _, f := range report.Faults {
		if f.Seen == "" {
			t.Errorf("%s was not seen", f.What)
		}
	}
	t.Logf("%d changes acknowledged, converged %.1f s after healing; %s; %+v", report.Acked, report.Lag, report.Delay, report.Faults)
}

// TestSimulateRealUnseen has links that are never moved: the run must say that its cut did not happen.
func TestSimulateRealUnseen(t *testing.T) {
	cmd := simulateForReal(t, "--json")
	real, err := exec.LookPath("ip")
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	script := "#!/bin/sh\ncase \"$*\" in *'master apart') exit 0;; esac\nexec " + real + " \"$@\"\n"
	if err := os.WriteFile(filepath.Join(bin, "ip"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(cmd.Env, "PATH="+bin+":"+os.Getenv("PATH"))
	d := newDevice(t, "run")
	out, errOut, status := d.finish(cmd)
	var report realReport
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatalf("exit status %d, %v in %q\n%s", status, err, out, errOut)
	}
	failed := slices.DeleteFunc(slices.Clone(report.Checks), func(c realCheck) bool { return c.OK })
	if status != exitFailed || report.Passed || len(failed) != 1 || !strings.Contains(failed[0].Problem, "silent cut") {
		t.Errorf("exit status %d: %s\n%s", status, out, errOut)
	}
}

// TestSimulateRealInterrupted ends a run in the middle: by Ctrl-C it takes everything away, and what is left of one that
// was killed is taken away by the next.
func TestSimulateRealInterrupted(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGKILL} {
		cmd := simulateForReal(t)
		tmp := os.Getenv("TMPDIR")
		for _, e := range cmd.Env {
			if dir, ok := strings.CutPrefix(e, "TMPDIR="); ok {
				tmp = dir
			}
		}
		var out strings.Builder
		cmd.Stdout = &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- cmd.Wait() }()
		ended := false
		t.Cleanup(func() {
			if !ended {
				cmd.Process.Kill()
				<-done
			}
		})
		listening := func() []string {
			sockets, err := filepath.Glob(filepath.Join(tmp, "atoll-real-*", "*", socketName))
			if err != nil {
				t.Fatal(err)
			}
			return sockets
		}
		wait(t, "all devices run", func() bool { return len(listening()) == 3 })
		pids := pidsIn(t, namespacesOf(cmd))
		if len(pids) != 3 {
			t.Errorf("%d processes in the namespaces", len(pids))
		}
		if err := cmd.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		<-done
		ended = true
		wait(t, "all processes have ended", func() bool {
			return !slices.ContainsFunc(pids, func(pid int) bool { return syscall.Kill(pid, 0) == nil })
		})
		left := namespacesOf(cmd)
		if signal == syscall.SIGINT {
			if cmd.ProcessState.ExitCode() != exitInterrupted || !strings.Contains(out.String(), "interrupted") || len(left) > 0 {
				t.Errorf("after Ctrl-C: %v, %s, left %v", cmd.ProcessState, out.String(), left)
			}
			if dirs, err := filepath.Glob(filepath.Join(tmp, "atoll-real-*")); err != nil || len(dirs) > 0 {
				t.Errorf("after Ctrl-C: %v, %v are left", err, dirs)
			}
			continue
		}
		if len(left) != 4 {
			t.Errorf("a killed run left %v", left)
		}
		removed, err := removeLeftovers(t.Context())
		if err != nil || len(removed) < len(left) {
			t.Errorf("removed %v of %v: %v", removed, left, err)
		}
	}
}

// TestSimulateRealMissing sees that what a machine lacks is said, with an exit status of its own.
func TestSimulateRealMissing(t *testing.T) {
	d := newDevice(t, "d")
	cmd := d.command("simulate", "--real")
	cmd.Env = append(cmd.Env, "PATH="+t.TempDir())
	_, errOut, status := d.finish(cmd)
	if status != exitLacks || !strings.Contains(errOut, "iproute2") {
		t.Errorf("exit status %d: %s", status, errOut)
	}
	d.fails(exitUsage, []string{"simulate", "--real", "--devices", "2"}, "3 to 9")
	d.fails(exitUsage, []string{"simulate", "--real", "--cut", "1s"}, "too short")
	d.fails(exitUsage, []string{"simulate", "--real", "weekend-offline"}, "no SCENARIO")
	d.fails(exitUsage, []string{"simulate", "--real", "--report", "x.html"}, "report")
}

// pidsIn lists the processes in network namespaces.
func pidsIn(t *testing.T, namespaces []string) []int {
	t.Helper()
	var out []int
	for _, path := range namespaces {
		text, err := exec.Command("ip", "netns", "pids", filepath.Base(path)).Output()
		if err != nil {
			t.Fatal(err)
		}
		for _, field := range strings.Fields(string(text)) {
			pid, err := strconv.Atoi(field)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, pid)
		}
	}
	return out
}
