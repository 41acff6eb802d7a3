package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/atollsync/atoll/simulations"
	"github.com/atollsync/atoll/simulations/report"
)

// simulation is one call of atoll simulate.
type simulation struct {
	app      *app
	name     string
	scenario *simulations.Scenario
	flags    simulateFlags
	begun    time.Time
}

// of returns the scenario with a seed.
func (s *simulation) of(seed uint64) *simulations.Scenario {
	c := *s.scenario
	c.Seed = seed
	return &c
}

// once runs one seed and prints what came of it.
func (s *simulation) once(ctx context.Context) (*simulations.Result, error) {
	line := s.app.newSimulateLine(s.name)
	options := simulations.Options{Progress: func(p simulations.Progress) bool {
		line.show(p)
		return ctx.Err() == nil
	}}
	var traced *traceFile
	if s.flags.trace != "" {
		var err error
		if traced, err = newTraceFile(s.flags.trace); err != nil {
			return nil, err
		}
		options.Trace = traced.line
	}
	r, err := simulations.Simulate(s.of(s.flags.seed), options)
	line.clear()
	if traced != nil {
		err = errors.Join(err, traced.close())
	}
	if err != nil {
		return nil, err
	}
	return r, s.print(r)
}

// many runs several seeds at once, each on a goroutine of its own, and prints what came of them. It returns the result of the first
// and that of the first that failed, nil if none did. After a failure no further seed is begun.
func (s *simulation) many(ctx context.Context) (first, failed *simulations.Result, err error) {
	n := s.flags.seeds
	if !s.app.json {
		fmt.Fprintf(s.app.out, "%s: seeds %d to %d\n", s.name, s.flags.seed, s.flags.seed+uint64(n)-1)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var (
		mu       sync.Mutex
		next     int
		done     int
		failedAt = n
		total    seedTotals
		wg       sync.WaitGroup
		bar      = s.app.newProgress(s.name+" seeds", int64(n))
	)
	work := func() {
		defer wg.Done()
		for {
			mu.Lock()
			i := next
			next++
			over := i >= n || failed != nil || err != nil || ctx.Err() != nil
			mu.Unlock()
			if over {
				return
			}
			r, runErr := simulations.Simulate(s.of(s.flags.seed+uint64(i)), simulations.Options{Progress: func(simulations.Progress) bool { return ctx.Err() == nil }})
			mu.Lock()
			switch {
			case runErr != nil:
				err = errors.Join(err, runErr)
			case r.Interrupted:
			default:
				done++
				total.add(r)
				bar.set(int64(done))
				if i == 0 {
					first = r
				}
				if !r.OK() && i < failedAt {
					failed, failedAt = r, i
				}
				if s.app.json {
					err = errors.Join(err, writeJSONLine(s.app.out, outcomeOf(s, r, false)))
				}
			}
			mu.Unlock()
		}
	}
	for range min(n, runtime.GOMAXPROCS(0)) {
		wg.Add(1)
		go work()
	}
	wg.Wait()
	bar.clear()
	if err != nil {
		return nil, nil, err
	}
	return first, failed, s.printMany(done, failed, &total)
}

// traceFile takes the lines of a trace.
type traceFile struct {
	f   *os.File
	w   *bufio.Writer
	err error
}

func newTraceFile(path string) (*traceFile, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	return &traceFile{f: f, w: bufio.NewWriterSize(f, 1<<16)}, nil
}

func (t *traceFile) line(line string) {
	if t.err == nil {
		_, t.err = io.WriteString(t.w, line+"\n")
	}
}

func (t *traceFile) close() error { return errors.Join(t.err, t.w.Flush(), t.f.Close()) }

// writeReport writes the page that --report asks for.
func (s *simulation) writeReport(r *simulations.Result) error {
	f, err := os.Create(s.flags.report)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	err = report.Write(w, r, s.flags.again(s.name, r.Seed))
	return errors.Join(err, w.Flush(), f.Close())
}

// shrinkFor is how long a run that failed is made smaller.
const shrinkFor = 2 * time.Minute

// makeSmaller looks for a small scenario that fails as r did, and writes it to a file.
func (s *simulation) makeSmaller(ctx context.Context, r *simulations.Result) error {
	ctx, stop := context.WithTimeout(ctx, shrinkFor)
	defer stop()
	bar := s.app.newProgress("making it smaller", 0)
	over := &simulations.Result{} // fails nothing, so that nothing more is tried
	small, result := simulations.Shrinking{
		Runs: 5_000,
		Run: func(c *simulations.Scenario) *simulations.Result {
			if ctx.Err() != nil {
				return over
			}
			out, err := simulations.Simulate(c, simulations.Options{Progress: func(simulations.Progress) bool { return ctx.Err() == nil }})
			if err != nil || out.Interrupted {
				return over
			}
			return out
		},
		Progress: func(runs int, z simulations.Size) {
			bar.label = fmt.Sprintf("making it smaller: %s, %s, %s, run", plural(z.Devices, "device"), plural(z.Ops, "op"), plural(z.Faults, "fault"))
			bar.set(int64(runs))
		},
	}.Shrink(s.of(r.Seed), r)
	bar.clear()
	file := fmt.Sprintf("%s-%d-failed.yaml", small.Name, r.Seed)
	if err := os.WriteFile(file, small.YAML(), 0o666); err != nil {
		return err
	}
	return s.printSmall(file, small, result)
}
