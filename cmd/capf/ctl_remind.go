package main

import (
	"fmt"
	"strings"
	"time"

	"capf/ctl"
	"capf/internal/plain"
	"capf/runtime/capf"
	"capf/runtime/store/sqlite"
)

// remindOf says what should be done about a list: all that is known about the newest one of the store, and of any other
// only whose certificates come to their end.
func remindOf(app *app, list readableList, file *ctl.File) error {
	if !list.newest {
		sayReminders(app, ctl.Remind(file, nil, time.Now()))
		return nil
	}
	return app.withStore(func(store *sqlite.Store) error { return remindOfVersion(app, store, *list.stored, file) })
}

// remindOfVersion is remindOf for the newest list of the store: whether it has what a new one would have, whether it went
// anywhere, and whose certificate comes to its end.
func remindOfVersion(app *app, store *sqlite.Store, latest capf.CTLVersion, file *ctl.File) error {
	var contents *ctl.Contents
	tokens, err := store.Tokens(app.ctx)
	if err != nil {
		return err
	}
	gathered, err := gatherContents(app, store, tokens)
	switch {
	case err == nil:
		contents = &gathered
		if contents.ITL = file.IsITL(); contents.ITL {
			if err := addTVS(app, store, contents); err != nil {
				return err
			}
		}
	case capf.HasCode(err, capf.CodeRefused), capf.HasCode(err, capf.CodeNotActivated):
		// Without a publisher or an identity there is nothing to compare with; who builds a list is told so.
	default:
		return err
	}
	sayReminders(app, ctl.Remind(file, contents, time.Now()))
	if latest.Origin == capf.CTLBuilt && latest.DistributedAt.IsZero() {
		app.say("reminder: no node is known to have got version %d: %s", latest.Version, afterBuild)
	}
	return nil
}

// remindOfStatus is remindOfVersion, and what is to be done on the machines once a list is on them: whether it was done
// nobody can see from here.
func remindOfStatus(app *app, store *sqlite.Store, latest capf.CTLVersion) error {
	file, err := ctl.Decode(latest.File)
	if err != nil {
		return err
	}
	if err := remindOfRestarts(app, store, latest); err != nil {
		return err
	}
	return remindOfVersion(app, store, latest, file)
}

// remindOfRestarts names the nodes of which a restart is due. Of lists that were distributed before these were noted it
// is not known.
func remindOfRestarts(app *app, store *sqlite.Store, latest capf.CTLVersion) error {
	restarts, err := store.Restarts(app.ctx)
	if err != nil || latest.DistributedAt.IsZero() {
		return err
	}
	const since = "version %d is on servers since %s: phones know it once the CallManager and TFTP services"
	switch due := capf.RestartsDue(restarts); {
	case len(due) > 0:
		app.say(since+" of %s were restarted and the phones reset; then say so with `capf ctl restarted`", latest.Version,
			capf.FormatTime(latest.DistributedAt), plain.Line(strings.Join(due, ", ")))
	case len(restarts) == 0:
		app.say(since+" were restarted and the phones reset", latest.Version, capf.FormatTime(latest.DistributedAt))
	}
	return nil
}

// afterBuild is what a new list asks for (ctl-format.md, "Rules").
const afterBuild = "run `capf ctl distribute`, then restart the CallManager and TFTP services of the servers and reset the phones"

func sayReminders(app *app, reminders []ctl.Reminder) {
	for _, reminder := range reminders {
		app.say("reminder: %s", plain.Line(fmt.Sprint(reminder)))
	}
}
