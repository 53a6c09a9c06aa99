package main

import (
	"capf/ctl"
	"capf/runtime/ca"
	"capf/runtime/capf"
	"capf/runtime/store/sqlite"
)

// remindOfList says so where the newest list was made without the CAPF certificate in force (A1).
func remindOfList(app *app, store *sqlite.Store, authority *ca.Authority) error {
	latest, err := store.LatestCTL(app.ctx)
	if capf.HasCode(err, capf.CodeNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	file, err := ctl.Decode(latest.File)
	if err != nil {
		return err
	}
	if !file.Has(ctl.RoleCAPF, authority.Certificate) {
		app.say("the newest trust list (version %d) does not hold this CAPF certificate: phones will refuse it until `capf ctl build` and `capf ctl distribute` have been run",
			latest.Version)
	}
	return nil
}

// remindBeforeServing is remindOfList for a service that is about to start.
func remindBeforeServing(app *app) error {
	authority, err := app.authority()
	if err != nil {
		return err
	}
	return app.withStore(func(store *sqlite.Store) error { return remindOfList(app, store, authority) })
}
