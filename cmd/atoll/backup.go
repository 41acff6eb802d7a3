package main

import (
	"fmt"
	"io"
	"net/http"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/atollsync/atoll/storage"
)

// backedUp asks for a backup, and says what was backed up.
type backedUp struct {
	Dir     string `json:"dir"`
	WithKey bool   `json:"with_key"`
	Stores  int    `json:"stores"`
}

func newBackupCommand(a *app) *cobra.Command {
	var withKey bool
	cmd := &cobra.Command{
		Use:   "backup DIR",
		Short: "Copy everything into a new data directory, also while the node runs",
		Long: `Copy every store, its history and its ticket into DIR, which must not exist yet. This is
safe while the node runs; copying the data directory with other tools is not.

DIR is a data directory itself: atoll --dir DIR works on it at once. It is a device of its
own, with a new key, unless --with-key copies this device's key; either way it starts new
logs and never continues this device's, so nothing is written under one name twice.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir, err := filepath.Abs(args[0])
			if err != nil {
				return err
			}
			return a.with(cmd.Context(), func(c *client) error {
				var out backedUp
				if err := c.call(cmd.Context(), http.MethodPost, "/v1/backup", backedUp{Dir: dir, WithKey: withKey}, &out); err != nil {
					return err
				}
				return a.print(out, func(w io.Writer) {
					fmt.Fprintf(w, "backed up %s into %s\n", plural(out.Stores, "store"), out.Dir)
				})
			})
		},
	}
	cmd.Flags().BoolVar(&withKey, "with-key", false, "copy this device's key too: for when the backup is to replace this device")
	return cmd
}

func (c *control) backup(r *http.Request) (any, error) {
	var in backedUp
	if err := read(r, &in); err != nil {
		return nil, err
	}
	if !filepath.IsAbs(in.Dir) {
		return nil, badRequest("a backup goes to an absolute directory, not %q", in.Dir)
	}
	in.Stores = len(c.node.Stores())
	if err := c.db.Backup(in.Dir, storage.BackupOptions{Key: in.WithKey}); err != nil {
		return nil, err
	}
	return in, nil
}
