//go:build race

package oracle_test

// defaultDepth is how many changes the event graphs have that are compared exhaustively.
const defaultDepth = 3
