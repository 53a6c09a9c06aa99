package main

import (
	"fmt"
	"io"
	"os"

	"filippo.io/age"

	"capf/runtime/backup"
	"capf/runtime/capf"
	"capf/runtime/store/sqlite"
)

type restoreCommand struct {
	File     string `arg:"" help:"A file that capf backup wrote, or - for standard input."`
	Identity string `help:"File with the private key of age, as age-keygen writes it; for a backup that is encrypted." placeholder:"FILE"`
}

// Run makes the data directory of a backup, where none is yet.
func (c *restoreCommand) Run(app *app) (err error) {
	var identities []age.Identity
	if c.Identity != "" {
		if identities, err = backup.ReadIdentities(c.Identity); err != nil {
			return err
		}
	}
	in := app.stdin
	if c.File != standardStream {
		file, err := os.Open(c.File)
		if err != nil {
			return &capf.Error{Code: capf.CodeInvalid, Message: "backup", Err: err, Hint: "name the file that `capf backup` wrote"}
		}
		defer file.Close()
		in = file
	}
	known, err := sqlite.KnownSchema()
	if err != nil {
		return err
	}
	restored, err := c.restore(app, in, identities, known)
	if err != nil {
		return err
	}
	if !restored.Encrypted && len(identities) > 0 {
		app.say("warning: the backup is not encrypted: --identity was not needed, and anybody could have written it")
	}
	if err := printManifest(app, "data", app.data, restored.Manifest, restored.Encrypted); err != nil {
		return err
	}
	sayAfterRestore(app, restored.Manifest, known)
	return nil
}

func (c *restoreCommand) restore(app *app, in io.Reader, identities []age.Identity, known int64) (backup.Restored, error) {
	progress := app.newProgress("KiB")
	defer progress.done()
	target := backup.Target{Data: app.data, Inspect: inspectData, Progress: kibibytes(progress),
		Begin: func(manifest backup.Manifest) error {
			if manifest.Schema <= known {
				return nil
			}
			return &capf.Error{Code: capf.CodeRefused, Hint: "use the capf that wrote it, or a newer one",
				Message: fmt.Sprintf("the store in the backup has schema %d; this program knows schemas up to %d", manifest.Schema, known)}
		}}
	return target.Restore(app.ctx, in, identities)
}

// sayAfterRestore tells a person what has to be done now.
func sayAfterRestore(app *app, manifest backup.Manifest, known int64) {
	if manifest.Schema < known {
		app.say("next: `capf init`: the store has schema %d and is upgraded to %d, after a copy of it", manifest.Schema, known)
	}
	where := "where the backup was made"
	if manifest.Machine != "" {
		where = "on " + manifest.Machine
	}
	app.say("next: see that no service runs any more %s: two services of one cluster must not answer phones", where)
	at := capf.FormatTime(manifest.CreatedAt)
	app.say("what happened after %s is not in it: LSCs that were issued or revoked, operations, trust lists, a new CAPF certificate", at)
	app.say("next: `capf checklist` compares it with what the servers hold; revoke again what was revoked after %s; then `capf serve`", at)
}
