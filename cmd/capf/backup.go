package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"filippo.io/age"

	"capf/internal/plain"
	"capf/runtime/backup"
	"capf/runtime/ca"
	"capf/runtime/capf"
	"capf/runtime/store/sqlite"
)

// Backup and restore of a data directory.

type backupCommand struct {
	File      string   `arg:"" help:"A new file, or - for standard output."`
	Recipient []string `help:"Encrypt for this public key of age (age1…); may be given several times." placeholder:"AGE-KEY"`
}

// standardStream is the name of standard output or input.
const standardStream = "-"

// Run makes a backup of the data directory, also while a service runs on it.
func (c *backupCommand) Run(app *app) error {
	recipients, err := backup.ParseRecipients(c.Recipient)
	if err != nil {
		return err
	}
	if c.File == "" || c.File == standardStream && isTerminal(app.stdout) {
		return &capf.Error{Code: capf.CodeInvalid, Message: "a backup is not written to a terminal", Hint: "name a file, or send standard output elsewhere"}
	}
	if c.File != standardStream {
		c.File = filepath.Clean(c.File) // so that what is looked at is what is written
		if err := app.keepOutOfMigrated(output{"the backup", c.File}); err != nil {
			return err
		}
	}
	progress := app.newProgress("KiB")
	defer progress.done()
	source := backup.Source{Data: app.data, Clock: time.Now, Inspect: inspectData, Progress: kibibytes(progress),
		Snapshot: func(ctx context.Context, into string) error {
			if err := sqlite.CheckBeside(ctx, app.storePath()); err != nil {
				return err
			}
			return sqlite.Snapshot(ctx, app.storePath(), into)
		}}
	source.Machine, _ = os.Hostname() // only for people: without it the backup is as good
	made, err := c.write(app, source, recipients)
	if err != nil {
		return err
	}
	progress.done()
	return c.tell(app, made, len(recipients) > 0)
}

func (c *backupCommand) write(app *app, source backup.Source, recipients []age.Recipient) (made backup.Backup, err error) {
	if c.File == standardStream {
		return source.Create(app.ctx, app.stdout, recipients)
	}
	err = backup.WriteNew(c.File, func(out io.Writer) error {
		made, err = source.Create(app.ctx, out, recipients)
		return err
	})
	return made, err
}

// tell says what is in the backup, and what is not.
func (c *backupCommand) tell(app *app, made backup.Backup, encrypted bool) error {
	if !encrypted {
		app.say("warning: the private keys of CAPF and authentication strings are in it in the clear: keep it in a safe place, or encrypt it with --recipient")
	}
	if authority, err := app.authority(); err == nil && authority.InToken() != "" {
		app.say("the CAPF key lies in a token (%s) and is not in it: keep a second copy by the vendor's means", plain.Line(authority.InToken()))
	}
	if made.Identity == "" {
		app.say("CAPF is not active: there is no key to back up yet")
	}
	app.say("the keys of the security tokens are not in it (`capf ctl token list` says where they are), nor is the configuration of this machine")
	for _, name := range made.LeftOut {
		app.say("left out, since it is nothing that capf made: %s", plain.Line(name))
	}
	if c.File == standardStream {
		return nil
	}
	return printManifest(app, "file", c.File, made.Manifest, encrypted)
}

func printManifest(app *app, place, path string, manifest backup.Manifest, encrypted bool) error {
	return app.fields([]string{place, "created-at", "machine", "schema", "identity", "files", "encrypted"},
		[]any{path, capf.FormatTime(manifest.CreatedAt), manifest.Machine, manifest.Schema, manifest.Identity, len(manifest.Members), encrypted})
}

// kibibytes tells a progress, which counts whole things.
func kibibytes(progress *progress) func(done, total int64) {
	return func(done, total int64) { progress.set(int(done>>10), int(total>>10)) }
}

// inspectData says what a data directory is that nobody works on, after its store and all CAPF keys in it were
// found sound.
func inspectData(ctx context.Context, data string) (found backup.Contents, err error) {
	if found.Schema, err = sqlite.CheckFile(ctx, storeOf(data)); err != nil {
		return backup.Contents{}, err
	}
	if _, err := ca.Next(data, ca.System()); err != nil && !capf.HasCode(err, capf.CodeNotFound) {
		return backup.Contents{}, err
	}
	if _, err := ca.Past(data, ca.System()); err != nil {
		return backup.Contents{}, err
	}
	authority, err := ca.Load(data, ca.System())
	if capf.HasCode(err, capf.CodeNotActivated) {
		return found, nil
	}
	if err != nil {
		return backup.Contents{}, err
	}
	found.Identity = plain.Line(authority.Name()) + ", serial number " + capf.FormatSerial(authority.Certificate.SerialNumber)
	found.SHA256 = capf.HexSHA256(authority.Certificate.Raw)
	return found, nil
}

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
