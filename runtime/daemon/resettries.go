package daemon

import (
	"maps"
	"slices"
	"time"
)

// resetAgain is how long after a reset that failed the phone has its next one in the same opening: after the first,
// the second, the third. Then it waits for the next opening.
var resetAgain = []time.Duration{5 * time.Minute, 15 * time.Minute, 45 * time.Minute}

// resetTries are the resets that failed in an opening of the maintenance window.
type resetTries struct {
	opening time.Time // when it began
	failed  map[string]failedReset
}

// failedReset is a phone that was not reset.
type failedReset struct {
	times int
	next  time.Time // of the next try; zero: none in this opening
}

// begin forgets what was in another opening.
func (r *resetTries) begin(opening time.Time) {
	if !r.opening.Equal(opening) || r.failed == nil {
		*r = resetTries{opening: opening, failed: make(map[string]failedReset)}
	}
}

// fail notes one more failure of a device, and gives how many there were.
func (r *resetTries) fail(device string, now time.Time) (times int) {
	one := failedReset{times: r.failed[device].times + 1}
	if one.times <= len(resetAgain) {
		one.next = now.Add(resetAgain[one.times-1])
	}
	r.failed[device] = one
	return one.times
}

// settle forgets a device that was reset, or needs it no more.
func (r *resetTries) settle(device string) { delete(r.failed, device) }

// may reports whether it is a device's turn: it has not failed, or its next try has come.
func (r *resetTries) may(device string, now time.Time) bool {
	one, failed := r.failed[device]
	return !failed || !one.next.IsZero() && !now.Before(one.next)
}

// due gives the devices that have failed and whose next try has come, sorted.
func (r *resetTries) due(now time.Time) []string {
	var devices []string
	for _, device := range slices.Sorted(maps.Keys(r.failed)) {
		if r.may(device, now) {
			devices = append(devices, device)
		}
	}
	return devices
}
