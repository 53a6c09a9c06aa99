package main

import (
	"capf/internal/plain"
	"capf/runtime/capf"
	"capf/runtime/reset"
	"capf/runtime/store/sqlite"
)

// resetChanged resets the phones for which a set of changes has set or changed an operation. Those that the
// maintenance window holds back are left to the service: they would have to be reset again when it opens.
func resetChanged(app *app, store *sqlite.Store, resetter *reset.Resetter, changed []capf.Changed) error {
	var phones []capf.Phone
	for _, one := range changed {
		if one.Effect == capf.EffectNew || one.Effect == capf.EffectReplaced || one.Effect == capf.EffectAmended {
			phones = append(phones, one.Phone)
		}
	}
	held, err := heldBack(app, store, phones)
	if err != nil {
		return err
	}
	if len(held.devices) > 0 {
		app.say("%s not reset now: the maintenance window opens at %s, and the service resets what is pending then",
			plain.CountedAs(len(held.devices), "phone is", "phones are"), capf.FormatTime(held.until))
	}
	devices := without(phones, held.devices)
	run := &resetRun{app: app, store: store, outcomes: make(map[string]string)}
	failure := run.reset(resetter, devices)
	done := 0
	for _, outcome := range run.outcomes {
		if outcome == outcomeReset {
			done++
		}
	}
	app.say("%s reset", plain.Counted(done, "phone"))
	return failure
}

// without gives the names of phones but those that are left out.
func without(phones []capf.Phone, left []string) []string {
	leaves := make(map[string]bool, len(left))
	for _, device := range left {
		leaves[device] = true
	}
	var devices []string
	for _, phone := range phones {
		if !leaves[phone.Device] {
			devices = append(devices, phone.Device)
		}
	}
	return devices
}

// isOrAre is the verb for so many of a number.
func isOrAre(number int) string {
	if number == 1 {
		return "is"
	}
	return "are"
}
