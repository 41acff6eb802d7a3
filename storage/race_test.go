//go:build race

package storage_test

// stride thins out the exhaustive tests under the race detector, which has little to find in them.
const stride = 5
