//go:build !race

package storage_test

// stride is 1: the exhaustive tests leave nothing out.
const stride = 1
