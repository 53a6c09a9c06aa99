package main

import (
	"crypto/x509"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/go-multierror"

	"capf/runtime/ca"
	"capf/runtime/capf"
	"capf/runtime/store/sqlite"
)

type anchorCommands struct {
	Add    anchorAddCommand    `cmd:"" help:"Trust a CA, or an intermediate one, for the LSCs or MICs that it issued."`
	List   anchorListCommand   `cmd:"" help:"All trust anchors, and how many phones hang on each."`
	Remove anchorRemoveCommand `cmd:"" help:"Trust an anchor no more."`
}

type anchorAddCommand struct {
	File  string               `arg:"" help:"PEM with one or several certificates, or DER." type:"path"`
	Kind  capf.CertificateKind `required:"" enum:"lsc,mic" help:"What it vouches for: lsc or mic." placeholder:"KIND"`
	Force bool                 `help:"Also where a certificate signed itself with MD5, after you have compared it with the original."`
}

// Run adds all certificates of the file, or none.
func (c *anchorAddCommand) Run(app *app) error {
	certificates, err := c.read(app)
	if err != nil {
		return err
	}
	return app.withStore(func(store *sqlite.Store) error {
		anchors, err := c.anchors(app, certificates)
		if err != nil {
			return err
		}
		added, err := store.AddAnchors(app.ctx, anchors, actor())
		if err != nil {
			return err
		}
		c.tell(app, anchors, added)
		if len(added) == 0 {
			return &capf.Error{Code: capf.CodeConflict, Message: c.File + ": nothing was added", Hint: "see `capf anchor list`"}
		}
		return nil
	})
}

// read gives the certificates of the file, all of which are fit.
func (c *anchorAddCommand) read(app *app) ([]*x509.Certificate, error) {
	content, err := readBounded(c.File, ca.MaxAnchorFile)
	if err != nil {
		return nil, &capf.Error{Code: capf.CodeInvalid, Message: "trust anchor", Err: err}
	}
	certificates, err := ca.ReadAnchors(content)
	if err != nil {
		return nil, &capf.Error{Code: capf.CodeInvalid, Message: "trust anchor " + c.File, Err: oneLineOf(err), Hint: "give certificates, PEM or DER"}
	}
	var problems *multierror.Error
	for _, certificate := range certificates {
		err := ca.CheckAnchor(certificate)
		if ca.IsWeakAnchor(err) && c.Force {
			app.say("warning: %s: %v", certificate.Subject, err)
			continue
		}
		if err != nil {
			problems = multierror.Append(problems, &capf.Error{Code: capf.CodeRefused,
				Message: fmt.Sprintf("trust anchor %s, serial number %s", certificate.Subject, capf.FormatSerial(certificate.SerialNumber)), Err: err})
		}
	}
	return certificates, problems.ErrorOrNil()
}

// anchors makes anchors of certificates, without the CAPF certificate in force, which is one by itself.
func (c *anchorAddCommand) anchors(app *app, certificates []*x509.Certificate) ([]capf.Anchor, error) {
	var anchors []capf.Anchor
	own, err := app.authority()
	if err != nil && !capf.HasCode(err, capf.CodeNotActivated) {
		return nil, err
	}
	for _, certificate := range certificates {
		if own != nil && own.Certificate.Equal(certificate) {
			app.say("%s is the CAPF certificate in force and trusted for LSCs by itself", certificate.Subject)
			continue
		}
		anchor, err := ca.Anchor(certificate, c.Kind, "added from "+filepath.Base(c.File))
		if err != nil {
			return nil, err
		}
		anchors = append(anchors, anchor)
	}
	return anchors, nil
}

// tell says which were there already, and what is odd about the others.
func (c *anchorAddCommand) tell(app *app, anchors, added []capf.Anchor) {
	isNew := make(map[string]bool)
	for _, anchor := range added {
		isNew[anchor.SHA256] = true
	}
	for _, anchor := range anchors {
		switch {
		case !isNew[anchor.SHA256]:
			app.say("%s, serial number %s, is an anchor for %ss already", anchor.Subject, anchor.Serial, anchor.Kind)
			continue
		case time.Now().After(anchor.NotAfter):
			app.say("%s ended %s; certificates that it issued are still accepted in their time", anchor.Subject, capf.FormatTime(anchor.NotAfter))
		}
		app.say("%s, serial number %s, vouches for %ss now", anchor.Subject, anchor.Serial, anchor.Kind)
	}
}

// readBounded reads a file that is no longer than it may be.
func readBounded(path string, most int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, most+1))
	if err == nil && int64(len(content)) > most {
		err = fmt.Errorf("%s: more than %d bytes", path, most)
	}
	return content, err
}

// oneLineOf takes collected problems as one.
func oneLineOf(err error) error {
	many, is := err.(*multierror.Error)
	if !is {
		return err
	}
	many.ErrorFormat = func(problems []error) string {
		text := ""
		for i, problem := range problems {
			if i > 0 {
				text += "; "
			}
			text += problem.Error()
		}
		return text
	}
	return many
}
