//go:build race

package model

// raced says that states cost too much here to visit them all.
const raced = true
