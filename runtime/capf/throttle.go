package capf

import "time"

// The rules for wrong authentication strings (B, "Wrong strings"): ten in a row from one address, or thirty
// for the device, then ten minutes' wait; after fifty in all the string is void and the operation failed. The
// bound for the device is higher, so that nobody can lock a phone out cheaply from elsewhere.
const (
	wrongPerAddress = 10
	wrongPerDevice  = 30
	wrongInAll      = 50
	wrongWait       = 10 * time.Minute
)

// WrongStrings counts the wrong strings for one operation, under one string.
type WrongStrings struct {
	InAll         int
	Last          time.Time
	FromAddress   int // of the phone that calls now
	LastByAddress time.Time
}

// WaitUntil gives the time until which no string is compared; zero where none has to be waited for.
func (w WrongStrings) WaitUntil(now time.Time) time.Time {
	var until time.Time
	// A time far ahead comes from a clock that was set back since; the bound in all holds without it.
	ahead := now.Add(wrongWait)
	if w.FromAddress > 0 && w.FromAddress%wrongPerAddress == 0 && !w.LastByAddress.After(ahead) {
		until = w.LastByAddress.Add(wrongWait)
	}
	if device := w.Last.Add(wrongWait); w.InAll > 0 && w.InAll%wrongPerDevice == 0 && !w.Last.After(ahead) && device.After(until) {
		until = device
	}
	if !until.After(now) {
		return time.Time{}
	}
	return until
}

// Exhausted reports whether the string is void and the operation failed.
func (w WrongStrings) Exhausted() bool { return w.InAll >= wrongInAll }
