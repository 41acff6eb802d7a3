package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"

	"github.com/atollsync/atoll/peer"
)

func newStartCommand(a *app) *cobra.Command {
	var cfg peer.Config
	var level string
	cmd := &cobra.Command{
		Use:   "start",
		Short: "Run the node of this device, in the foreground",
		Long: `Run the node of this device, in the foreground: it finds the devices that hold the same
stores and stays in step with them, until it is interrupted (Ctrl-C, or SIGTERM). Other
commands on the same --dir talk to it.

Peers are found on the local network (unless --no-mdns), at the addresses in tickets, at
--bootstrap addresses and through peers. Prometheus metrics: curl --unix-socket
DIR/control.sock http://atoll/metrics.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var l slog.Level
			if err := l.UnmarshalText([]byte(level)); err != nil {
				return usagef("--log-level %s: debug, info, warn or error", level)
			}
			options := &slog.HandlerOptions{Level: l}
			cfg.Logger = slog.New(slog.NewTextHandler(a.err, options))
			if a.json {
				cfg.Logger = slog.New(slog.NewJSONHandler(a.err, options))
			}
			dir, err := a.dataDir()
			if err != nil {
				return err
			}
			return serve(cmd.Context(), dir, cfg)
		},
	}
	cmd.Flags().StringArrayVar(&cfg.Listen, "listen", nil, "multiaddr to listen on; may be given again (default: TCP and QUIC on every interface, at this device's own port)")
	cmd.Flags().StringArrayVar(&cfg.Bootstrap, "bootstrap", nil, "multiaddr of a node to keep a connection to, ending in /p2p/ID; may be given again")
	cmd.Flags().BoolVar(&cfg.NoMDNS, "no-mdns", false, "do not look for peers on the local network, nor be found there")
	cmd.Flags().StringVar(&level, "log-level", "info", "debug, info, warn or error")
	return cmd
}

// serve runs the node of dir and its control socket until ctx ends.
func serve(ctx context.Context, dir string, cfg peer.Config) (err error) {
	db, err := openWhenFree(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	cfg.Storage, cfg.Metrics = db, registry
	node, err := peer.Open(cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, node.Close()) }()
	l, remove, err := listenControl(dir)
	if err != nil {
		return fmt.Errorf("listen for commands: %w", err)
	}
	// Streams such as watch end with the node.
	streams, endStreams := context.WithCancel(context.WithoutCancel(ctx))
	server := &http.Server{
		Handler:     newControl(node, db, registry),
		BaseContext: func(net.Listener) context.Context { return streams },
		ErrorLog:    slog.NewLogLogger(cfg.Logger.Handler(), slog.LevelWarn),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	cfg.Logger.Info("node runs", "dir", dir, "device", node.Device().String())

	runErr := node.Run(ctx)
	if ctx.Err() != nil {
		runErr = nil // as asked
	}
	endStreams()
	shutdown, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	err = errors.Join(runErr, server.Shutdown(shutdown))
	if e := <-served; !errors.Is(e, http.ErrServerClosed) {
		err = errors.Join(err, e)
	}
	err = errors.Join(err, remove()) // the listener is closed by now
	cfg.Logger.Info("node stopped")
	return err
}
