package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// realStore is the store that the devices share.
const realStore = "shared"

// realRun is one simulation with real processes under way.
type realRun struct {
	opts     realOptions
	tell     io.Writer // nil: nobody listens
	style    style
	progress *progress
	rng      *rand.Rand
	dir      string
	begun    time.Time
	net      *realNetwork
	devices  []*realDevice
	report   realReport
	mu       sync.Mutex // guards report.Kinds and what devices were told, while they write
}

// run plays the whole story. What it started is ended by close.
func (r *realRun) run(ctx context.Context) error {
	r.report.Kinds = map[string]int{}
	for _, act := range []func(context.Context) error{r.meet, r.together, r.part, r.heal, r.together, r.converge, r.verify} {
		if err := act(ctx); err != nil {
			return err
		}
	}
	return nil
}

// close ends every process and takes the network away.
func (r *realRun) close() error {
	var errs []error
	for _, d := range r.devices {
		errs = append(errs, d.end())
	}
	if r.net != nil {
		errs = append(errs, r.net.close())
	}
	return errors.Join(errs...)
}

// meet makes the network, starts the devices and lets them share a store.
func (r *realRun) meet(ctx context.Context) (err error) {
	r.net, err = newRealNetwork(ctx, r.opts.Devices)
	if err != nil {
		return err
	}
	r.report.Delay, r.report.Leftover = r.net.delay, r.net.leftover
	r.say("network: %d devices, each in a network namespace of its own, on one bridge; %s", r.opts.Devices, r.net.delay)
	for i := range r.opts.Devices {
		name := string(rune('a' + i))
		d := &realDevice{run: r, name: name, index: i, dir: r.deviceDir(name)}
		r.devices = append(r.devices, d)
		r.report.Devices = append(r.report.Devices, name)
		if err := d.start(ctx); err != nil {
			return err
		}
	}
	first := r.devices[0]
	if err := first.cli(ctx, nil, "create", realStore); err != nil {
		return err
	}
	for _, e := range realContainers() {
		if _, err := first.write(ctx, e); err != nil {
			return err
		}
	}
	var ticket ticketText
	if err := first.cli(ctx, &ticket, "ticket", realStore); err != nil {
		return err
	}
	for _, d := range r.devices[1:] {
		if err := d.cli(ctx, nil, "join", ticket.Ticket); err != nil {
			return err
		}
	}
	lag, err := r.same(ctx)
	if err != nil {
		return fmt.Errorf("before anything happened to them, the devices do not share the store: %w", err)
	}
	r.say("together: %s made the store, the others joined by its ticket and have it, %.1f s later", first.name, lag.Seconds())
	return nil
}

// together lets all write for a while.
func (r *realRun) together(ctx context.Context) error {
	return r.writing(ctx, func(ctx context.Context) error { return r.wait(ctx, "all write", r.opts.Together) })
}

// writing lets every device write for as long as fn runs.
func (r *realRun) writing(ctx context.Context, fn func(context.Context) error) error {
	writing, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	for _, d := range r.devices {
		// One writes to the socket as fast as it is answered, one runs the command line.
		seed := r.rng.Uint64()
		wg.Go(func() { d.writeAll(writing, rand.New(rand.NewPCG(seed, 1)), d.write) })
		wg.Go(func() { d.writeAll(writing, rand.New(rand.NewPCG(seed, 2)), d.writeByCommand) })
	}
	err := fn(writing)
	stop()
	wg.Wait()
	for _, d := range r.devices {
		err = errors.Join(err, d.writeErr)
	}
	return err
}

// wait lets time pass, and says what is going on.
func (r *realRun) wait(ctx context.Context, what string, d time.Duration) error {
	end := time.Now().Add(d)
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for time.Now().Before(end) {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
			r.progress.label = fmt.Sprintf("%s for another %.0f s; acknowledged:", what, time.Until(end).Seconds())
			r.progress.set(int64(r.acknowledged()))
		}
	}
	return nil
}

func (r *realRun) acknowledged() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, d := range r.devices {
		n += len(d.acked)
	}
	return n
}

// part cuts half of the devices off without a sign, and kills one of them while it writes.
func (r *realRun) part(ctx context.Context) error {
	order := r.rng.Perm(len(r.devices))
	away := slices.Sorted(slices.Values(order[:len(order)/2]))
	near := slices.Sorted(slices.Values(order[len(order)/2:]))
	victim := r.devices[away[0]]
	if len(away) < 2 || r.rng.IntN(2) == 0 {
		victim = r.devices[near[0]]
	}
	return r.writing(ctx, func(ctx context.Context) error {
		before, err := r.reach(ctx, near, away)
		if err != nil {
			return err
		}
		linked, err := r.linked(ctx, near, away)
		if err != nil {
			return err
		}
		if err := r.net.cut(ctx, away); err != nil {
			return err
		}
		healed := time.Now().Add(r.opts.Cut)
		names := r.names(away)
		r.say("cut: %s silently cut off from %s for %v", names, r.names(near), r.opts.Cut)
		unnoticed, err := r.linked(ctx, near, away)
		if err != nil {
			return err
		}
		during, err := r.reach(ctx, near, away)
		if err != nil {
			return err
		}
		seen := ""
		if before > 0 && during == 0 && linked > 0 && unnoticed > 0 {
			seen = fmt.Sprintf("%d of %d attempts to connect across got through before and none of as many during; %d of %d connections across were still thought to stand just after",
				before, len(near)*len(away), unnoticed, linked)
		}
		r.fault("silent cut of "+names, seen)
		inside, err := r.reach(ctx, near, near)
		if err != nil {
			return err
		}
		if inside == 0 && len(near) > 1 {
			return errors.New("the cut separated devices on the same side, too")
		}
		if err := r.wait(ctx, "cut, all write", time.Second); err != nil {
			return err
		}
		if err := r.kill(ctx, victim); err != nil {
			return err
		}
		return r.wait(ctx, "cut, all write", time.Until(healed))
	})
}

// kill kills a device with SIGKILL while it writes, and starts it again.
func (r *realRun) kill(ctx context.Context, d *realDevice) error {
	at := d.count()
	if err := poll(ctx, func() bool { return d.count() >= at+5 }); err != nil {
		return fmt.Errorf("wait until %s writes: %w", d.name, err)
	}
	by, err := d.kill()
	if err != nil {
		return err
	}
	written := d.count()
	r.say("kill: %s killed by SIGKILL while it wrote, with %d changes acknowledged", d.name, written)
	r.fault("SIGKILL of "+d.name, by)
	if err := r.wait(ctx, d.name+" is down, the others write", 500*time.Millisecond); err != nil {
		return err
	}
	if err := d.start(ctx); err != nil {
		return fmt.Errorf("start %s again after it was killed: %w", d.name, err)
	}
	r.say("restart: %s is back", d.name)
	return nil
}

// heal joins the halves, and waits until all show the same.
func (r *realRun) heal(ctx context.Context) error {
	if err := r.net.heal(ctx); err != nil {
		return err
	}
	lag, err := r.same(ctx)
	if ctx.Err() != nil {
		return err
	}
	r.report.Lag = lag.Seconds()
	r.checkSame(fmt.Sprintf("all devices show the same state at the same version %.1f s after the network healed", lag.Seconds()), err)
	all := r.everyone()
	through, err := r.reach(ctx, all, all)
	if err != nil {
		return err
	}
	if want := len(all) * (len(all) - 1); through != want {
		return fmt.Errorf("after healing %d of %d attempts to connect got through", through, want)
	}
	return nil
}

// converge waits until all show the same, some time after they wrote together again.
func (r *realRun) converge(ctx context.Context) error {
	lag, err := r.same(ctx)
	if ctx.Err() != nil {
		return err
	}
	r.checkSame(fmt.Sprintf("the same %.1f s after all wrote together again", lag.Seconds()), err)
	return nil
}

func (r *realRun) checkSame(what string, err error) {
	var problems []string
	if err != nil {
		problems = append(problems, err.Error())
	}
	r.check(what, problems)
}

// same waits, within the bound, until all devices have the same version and value, and returns how long that took.
func (r *realRun) same(ctx context.Context) (time.Duration, error) {
	begun := time.Now()
	limited, cancel := context.WithTimeoutCause(ctx, r.opts.Bound, fmt.Errorf("not within %v", r.opts.Bound))
	defer cancel()
	var apart string
	for {
		var err error
		if apart, err = r.apart(limited); apart == "" && err == nil {
			return time.Since(begun), nil
		}
		if err != nil && limited.Err() == nil {
			apart = err.Error()
		}
		r.progress.label = "wait until all show the same:"
		r.progress.set(int64(time.Since(begun).Seconds()))
		select {
		case <-limited.Done():
			return time.Since(begun), fmt.Errorf("%s: %w", apart, context.Cause(limited))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// apart says how the devices differ, "" if they do not.
func (r *realRun) apart(ctx context.Context) (string, error) {
	var first shown
	for i, d := range r.devices {
		var v shown
		if err := d.ask(ctx, http.MethodGet, storePath(realStore, "value"), &v); err != nil {
			return "", err
		}
		switch {
		case i == 0:
			first = v
		case !slices.Equal(v.Version, first.Version):
			return fmt.Sprintf("%s is at version %v, %s at %v", r.devices[0].name, first.Version, d.name, v.Version), nil
		case string(v.Value) != string(first.Value):
			return fmt.Sprintf("at one version %s shows %s, %s shows %s", r.devices[0].name, first.Value, d.name, v.Value), nil
		}
	}
	return "", nil
}

// reach counts the attempts to connect from some devices to others that get through.
func (r *realRun) reach(ctx context.Context, from, to []int) (int, error) {
	type attempt struct{ from, to int }
	var all []attempt
	for _, i := range from {
		for _, j := range to {
			if i != j {
				all = append(all, attempt{i, j})
			}
		}
	}
	through := make([]bool, len(all))
	errs := make([]error, len(all))
	var wg sync.WaitGroup
	for k, x := range all {
		wg.Go(func() { through[k], errs[k] = r.net.reaches(x.from, x.to, r.devices[x.to].port) })
	}
	wg.Wait()
	n := 0
	for _, ok := range through {
		if ok {
			n++
		}
	}
	return n, errors.Join(append(errs, context.Cause(ctx))...)
}

// linked counts the connections between two groups that devices of the first think they have.
func (r *realRun) linked(ctx context.Context, near, away []int) (int, error) {
	n := 0
	for _, i := range near {
		var peers []peerListing
		if err := r.devices[i].ask(ctx, http.MethodGet, "/v1/peers", &peers); err != nil {
			return 0, err
		}
		for _, p := range peers {
			if slices.ContainsFunc(away, func(j int) bool { return r.devices[j].id == p.Device }) {
				n++
			}
		}
	}
	return n, nil
}

func (r *realRun) everyone() []int {
	all := make([]int, len(r.devices))
	for i := range all {
		all[i] = i
	}
	return all
}

func (r *realRun) names(indexes []int) string {
	out := make([]string, len(indexes))
	for k, i := range indexes {
		out[k] = r.devices[i].name
	}
	return strings.Join(out, ", ")
}

// verify checks what the devices hold, first as they run and then what is on their disks.
func (r *realRun) verify(ctx context.Context) error {
	var lost, forks, states []string
	digests := map[string]bool{}
	for _, d := range r.devices {
		held, err := d.log(ctx)
		if err != nil {
			return err
		}
		r.report.Changes = max(r.report.Changes, len(held))
		for _, o := range r.devices {
			for _, dot := range o.acked {
				if !held[dot] {
					lost = append(lost, fmt.Sprintf("%s was told that %s is durable, and %s does not have it", o.name, shortDot(dot), d.name))
				}
			}
		}
		var status deviceStatus
		if err := d.ask(ctx, http.MethodGet, "/v1/status", &status); err != nil {
			return err
		}
		for _, s := range status.Stores {
			if len(s.Forks) > 0 || s.Problem != "" || s.Pending > 0 {
				forks = append(forks, fmt.Sprintf("%s: forks %d, pending %d, problem %q", d.name, len(s.Forks), s.Pending, s.Problem))
			}
		}
	}
	for _, d := range r.devices {
		if err := d.stop(ctx); err != nil {
			states = append(states, err.Error())
		}
		out, err := d.output(ctx, "verify")
		if err != nil {
			states = append(states, err.Error())
		}
		for line := range strings.Lines(out) {
			var v verified
			if err := json.Unmarshal([]byte(line), &v); err != nil {
				return fmt.Errorf("%s: atoll verify: %w", d.name, err)
			}
			if !v.OK {
				states = append(states, fmt.Sprintf("%s: %s", d.name, v.Problem))
			}
			if v.Store == realStore {
				digests[v.Digest] = true
			}
		}
	}
	if len(digests) != 1 {
		states = append(states, fmt.Sprintf("the states recomputed from the logs have %d digests", len(digests)))
	}
	r.report.Acked = r.acknowledged()
	r.check(fmt.Sprintf("each device has all of the %d changes that were acknowledged anywhere, of %d", r.report.Acked, r.report.Changes), lost[:min(len(lost), 10)])
	r.check("no forks, and nothing waits", forks)
	r.check("atoll verify finds nothing wrong on any disk, and the same state on all", states)
	var unseen []string
	for _, f := range r.report.Faults {
		if f.Seen == "" {
			unseen = append(unseen, f.What)
		}
	}
	r.check("each fault was seen to happen", unseen)
	var never []string
	for _, kind := range realKinds {
		if r.report.Kinds[kind] == 0 {
			never = append(never, kind)
		}
	}
	r.check("something of each kind was written", never)
	return nil
}
