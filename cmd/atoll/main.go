// Atoll keeps the state of applications in step between devices, peer to peer.
// This is its node and its command line: `atoll --help` lists what it does.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends what does not heed the first
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run carries out one command line and returns the exit status.
func run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) int {
	a := &app{in: in, out: out, err: errOut}
	root := &cobra.Command{
		Use:   "atoll",
		Short: "Keep the state of applications in step between devices, peer to peer",
		Long: `Atoll keeps the state of applications in step between devices, peer to peer.

Every command works on the device whose data is in --dir. If a node runs there (atoll
start), commands talk to it; if none does, they open the directory themselves, so a device
is fully usable offline.

PATH is like todos/7/title: the slice, then keys; under a list an index. A key that holds a
slash or a tilde writes them ~1 and ~0. Values are JSON; a bare word is a string.`,
		SilenceUsage:      true,
		SilenceErrors:     true,
		PersistentPreRunE: a.start,
	}
	root.PersistentFlags().StringVar(&a.dir, "dir", "", "data directory (default "+defaultDirHelp+")")
	root.PersistentFlags().BoolVar(&a.json, "json", false, "print JSON")
	for _, group := range a.commands() {
		root.AddGroup(&cobra.Group{ID: group.id, Title: group.title})
		for _, c := range group.commands {
			c.GroupID = group.id
			c.Args = unmarked(c.Args)
			root.AddCommand(c)
		}
	}
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	root.SetArgs(markNegativeNumbers(root, args))
	return a.exitStatus(root.ExecuteContextC(ctx))
}
