package main

import (
	"capf/ctl"
	"capf/runtime/capf"
	"capf/runtime/store/sqlite"
)

type ctlListCommand struct{}

// Run lists the versions, the newest first, and reminds of what is to be done about that one.
func (c *ctlListCommand) Run(app *app) error {
	return app.withStore(func(store *sqlite.Store) error {
		versions, err := store.CTLVersions(app.ctx)
		if err != nil {
			return err
		}
		list := app.list("version", "origin", "mode", "digest", "signer", "signed-at", "added-at", "distributed-at", "sha256", "itl-sha256")
		for _, one := range versions {
			if err := list.add(one.Version, one.Origin, one.Mode, one.Digest, one.Signer, capf.FormatTime(one.SignedAt),
				capf.FormatTime(one.AddedAt), capf.FormatTime(one.DistributedAt), one.SHA256, one.ITLSHA256); err != nil {
				return err
			}
		}
		if err := list.close(); err != nil || len(versions) == 0 {
			return err
		}
		latest, err := store.LatestCTL(app.ctx)
		if err != nil {
			return err
		}
		file, err := ctl.Decode(latest.File)
		if err != nil {
			return err
		}
		return remindOfVersion(app, store, latest, file)
	})
}
