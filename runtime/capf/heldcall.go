package capf

import "time"

// ActorWindow stands in the history where a phone was reset because the maintenance window opened.
const ActorWindow = "maintenance window"

// HeldCall is a call of a phone that authenticated and was told that nothing is pending, because the
// maintenance window was closed.
type HeldCall struct {
	Device  string
	Address string // of the phone, without port
	At      time.Time
	Opens   time.Time // the window, next
}

// Reset is a reset of a phone that was asked for from here.
type Reset struct {
	Device  string
	At      time.Time
	By      string // a person, ActorWindow or ActorRenewal
	Problem string // why it was not reset; empty where it was
}
