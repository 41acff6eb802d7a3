// Package report draws what a simulation found as one HTML page that needs nothing else: no network, no other file, and no script
// but for clicking through the messages. It reads on paper and on a phone.
package report
