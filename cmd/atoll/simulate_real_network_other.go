//go:build !linux

package main

import (
	"context"
	"errors"
	"os/exec"
)

// realNetwork is there on Linux alone.
type realNetwork struct {
	delay    string
	leftover []string
}

// missingForReal says what this machine lacks.
func missingForReal() []string { return []string{"it takes the network namespaces of Linux"} }

func newRealNetwork(context.Context, int) (*realNetwork, error) { return nil, errors.ErrUnsupported }

func (n *realNetwork) cut(context.Context, []int) error         { return errors.ErrUnsupported }
func (n *realNetwork) heal(context.Context) error               { return errors.ErrUnsupported }
func (n *realNetwork) reaches(from, to, port int) (bool, error) { return false, errors.ErrUnsupported }
func (n *realNetwork) close() error                             { return nil }
func (n *realNetwork) command(int, string, ...string) *exec.Cmd { return nil }
