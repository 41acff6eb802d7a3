package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"

	"github.com/spf13/cobra"
)

// Exit statuses.
const (
	exitOK     = 0
	exitFailed = 1 // an operation or a check failed
	exitUsage  = 2 // the command line makes no sense
)

// app is what every subcommand shares: the streams and the flags of the root command.
type app struct {
	in       io.Reader
	out, err io.Writer
	dir      string // --dir; after start the default where none was given
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
		{"try", "See it work:", []*cobra.Command{newDemoCommand(a), newReplayCommand(a)}},
		{"node", "Node and peers:", []*cobra.Command{newStartCommand(a), newStatusCommand(a), newPeersCommand(a), newConnectCommand(a)}},
		{"stores", "Stores:", []*cobra.Command{newCreateCommand(a), newJoinCommand(a), newTicketCommand(a), newStoresCommand(a),
			newRenameCommand(a), newForgetCommand(a)}},
		{"state", "State:", []*cobra.Command{newGetCommand(a), newPutCommand(a), newAddCommand(a), newRemoveCommand(a), newInsertCommand(a),
			newDeleteCommand(a), newWatchCommand(a), newConflictsCommand(a), newLogCommand(a)}},
		{"data", "Data in and out:", []*cobra.Command{newImportCommand(a), newExportCommand(a), newBackupCommand(a), newVerifyCommand(a)}},
		{"about", "About:", []*cobra.Command{newVersionCommand(a)}},
	}
}

// start runs before every command, once its flags and arguments have been understood.
func (a *app) start(*cobra.Command, []string) error {
	a.started = true
	if a.dir == "" {
		dir, err := defaultDir()
		if err != nil {
			return err
		}
		a.dir = dir
	}
	dir, err := filepath.Abs(a.dir)
	if err != nil {
		return err
	}
	a.dir = dir
	return nil
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

// exitStatus prints err for a person, or as JSON, and returns the exit status it calls for.
func (a *app) exitStatus(err error) int {
	if err == nil {
		return exitOK
	}
	status := exitFailed
	var usage usageError
	if !a.started || errors.As(err, &usage) {
		status = exitUsage
	}
	if errors.Is(err, errReported) {
		return status
	}
	if errors.Is(err, context.Canceled) {
		err = errors.New("interrupted")
	}
	hint := ""
	var f *failure
	if errors.As(err, &f) {
		hint = f.Hint
	}
	if !a.started {
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

// keepNegativeNumbers makes `atoll add visits -1` mean what it says: a flag parser would take -1 for
// a flag. JSON allows the space that tells them apart.
func keepNegativeNumbers(args []string) []string {
	out := make([]string, len(args))
	for i, arg := range args {
		if negativeNumber.MatchString(arg) {
			arg = " " + arg
		}
		out[i] = arg
	}
	return out
}
