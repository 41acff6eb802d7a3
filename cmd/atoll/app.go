package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
)

// Exit statuses.
const (
	exitOK     = 0
	exitFailed = 1 // an operation or a check failed
	exitUsage  = 2 // the command line makes no sense
	exitLacks  = 3 // this machine cannot do it
	// exitInterrupted is that of a shell for what Ctrl-C ended.
	exitInterrupted = 130
)

// app is what every subcommand shares: the streams and the flags of the root command.
type app struct {
	in       io.Reader
	out, err io.Writer
	dir      string // --dir; "" if not given
	json     bool   // --json
	started  bool   // the command line was understood and a command runs
}

// commandGroup is a heading in the help text.
type commandGroup struct {
	id, title string
	commands  []*cobra.Command
}

func (a *app) commands() []commandGroup {
	return []commandGroup{
		{"try", "See it work:", []*cobra.Command{newDemoCommand(a), newSimulateCommand(a), newReplayCommand(a)}},
		{"node", "Node and peers:", []*cobra.Command{newStartCommand(a), newStatusCommand(a), newPeersCommand(a), newConnectCommand(a)}},
		{"stores", "Stores:", []*cobra.Command{newCreateCommand(a), newJoinCommand(a), newTicketCommand(a), newStoresCommand(a),
			newRenameCommand(a), newForgetCommand(a)}},
		{"state", "State:", []*cobra.Command{newGetCommand(a), newPutCommand(a), newAddCommand(a), newRemoveCommand(a), newInsertCommand(a),
			newDeleteCommand(a), newMoveCommand(a), newMarkCommand(a), newUnmarkCommand(a), newWatchCommand(a), newConflictsCommand(a)}},
		{"history", "History:", []*cobra.Command{newLogCommand(a), newBlameCommand(a), newDiffCommand(a), newUndoCommand(a)}},
		{"data", "Data in and out:", []*cobra.Command{newImportCommand(a), newExportCommand(a), newBackupCommand(a), newVerifyCommand(a)}},
		{"about", "About:", []*cobra.Command{newVersionCommand(a)}},
	}
}

// start runs before every command, once its flags and arguments have been understood.
func (a *app) start(cmd *cobra.Command, _ []string) error {
	a.started = true
	if a.dir == "" && cmd.Flags().Changed("dir") {
		return usagef("--dir is empty: leave it out for %s", defaultDirHelp)
	}
	return nil
}

// dataDir returns the data directory: --dir, or else the user's own.
func (a *app) dataDir() (string, error) {
	if a.dir != "" {
		return filepath.Abs(a.dir)
	}
	return defaultDir()
}

const defaultDirHelp = "$XDG_DATA_HOME/atoll or ~/.local/share/atoll"

// defaultDir returns the directory for this user's data, as the XDG base directory specification has it.
func defaultDir() (string, error) {
	if data := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(data) {
		return filepath.Join(data, "atoll"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("no data directory: %w; say --dir", err)
	}
	return filepath.Join(home, ".local", "share", "atoll"), nil
}

// usageError says that the command line is wrong.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// errReported ends a command whose output already says what is wrong.
var errReported = errors.New("atoll: a check failed")

// exitStatus prints cmd's err for a person, or as JSON, and returns the exit status it calls for.
func (a *app) exitStatus(cmd *cobra.Command, err error) int {
	if err == nil {
		return exitOK
	}
	status := exitFailed
	var usage usageError
	var f *failure
	isFailure := errors.As(err, &f)
	if !a.started || errors.As(err, &usage) || isFailure && f.Status == http.StatusBadRequest {
		status = exitUsage
	}
	var lacks missingError
	if errors.As(err, &lacks) {
		status = exitLacks
	}
	if errors.Is(err, errReported) {
		return status
	}
	if errors.Is(err, errInterrupted) {
		return exitInterrupted
	}
	if errors.Is(err, context.Canceled) {
		err = errors.New("interrupted")
	}
	hint := ""
	switch {
	case isFailure && f.Hint != "":
		hint = f.Hint
	case status == exitUsage && cmd.HasParent():
		hint = "usage: " + cmd.UseLine() + "; --help says more"
	case status == exitUsage:
		hint = "atoll --help lists the commands; atoll COMMAND --help says how to use one"
	}
	if a.json {
		json.NewEncoder(a.err).Encode(failure{Message: err.Error(), Hint: hint})
		return status
	}
	fmt.Fprintf(a.err, "atoll: %v\n", err)
	if hint != "" {
		fmt.Fprintf(a.err, "  %s\n", hint)
	}
	return status
}

var negativeNumber = regexp.MustCompile(`^-[0-9]`)

// argumentMark begins an argument that a flag parser would take for a flag. No real argument holds a NUL.
const argumentMark = "\x00"

// markNegativeNumbers makes `atoll add visits -1` mean what it says, by marking what looks like a
// negative number, unless it is the value of a flag.
func markNegativeNumbers(root *cobra.Command, args []string) []string {
	cmd, _, err := root.Find(args)
	if err != nil || cmd == root {
		return args
	}
	out := make([]string, len(args))
	for i, arg := range args {
		out[i] = arg
		if !negativeNumber.MatchString(arg) {
			continue
		}
		if i > 0 {
			name, _ := strings.CutPrefix(args[i-1], "--")
			if f := cmd.Flag(name); f != nil && name != args[i-1] && f.NoOptDefVal == "" {
				continue
			}
		}
		out[i] = argumentMark + arg
	}
	return out
}

// unmarked takes the marks off a command's arguments before they are checked and used.
func unmarked(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		for i, arg := range args {
			args[i] = strings.TrimPrefix(arg, argumentMark)
		}
		return check(cmd, args)
	}
}
