package main

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/hashicorp/go-multierror"

	"capf/internal/plain"
	"capf/legacy"
	"capf/runtime/ca"
	"capf/runtime/capf"
	"capf/runtime/store/sqlite"
)

// Trust anchors: whose certificates count.

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
	many.ErrorFormat = legacy.OneLine
	return many
}

// anchorInUse is an anchor with the phones that hold, or may hold, a certificate which it has signed.
type anchorInUse struct {
	capf.Anchor
	phones int
}

// anchorsInUse gives the CAPF certificate in force, then the anchors of the store. What an anchor has signed is
// verified once for each certificate and kept in the store, so that the first time takes longer.
func anchorsInUse(app *app, store *sqlite.Store) ([]anchorInUse, error) {
	anchors, err := store.Anchors(app.ctx, "")
	if err != nil {
		return nil, err
	}
	own, err := app.authority()
	if err != nil && !capf.HasCode(err, capf.CodeNotActivated) {
		return nil, err
	}
	if own != nil {
		current, err := own.Anchor()
		if err != nil {
			return nil, err
		}
		anchors = withOwn(current, anchors)
	}
	if err := store.LinkIssuers(app.ctx, anchors); err != nil {
		return nil, err
	}
	return countPhones(app.ctx, store, anchors)
}

// withOwn puts the certificate in force before the anchors. It may be one of them, where a migration has found it before
// it was taken over (init --from): then it stands there once, and says so.
func withOwn(own capf.Anchor, anchors []capf.Anchor) []capf.Anchor {
	out := []capf.Anchor{own}
	for _, anchor := range anchors {
		if anchor.Kind == own.Kind && anchor.SHA256 == own.SHA256 {
			out[0].Origin += "; " + anchor.Origin
		} else {
			out = append(out, anchor)
		}
	}
	return out
}

func countPhones(ctx context.Context, store *sqlite.Store, anchors []capf.Anchor) ([]anchorInUse, error) {
	counts := make(map[capf.CertificateKind]map[string]int)
	for _, kind := range []capf.CertificateKind{capf.LSC, capf.MIC} {
		byIssuer, err := store.PhonesByIssuer(ctx, kind)
		if err != nil {
			return nil, err
		}
		counts[kind] = byIssuer
	}
	used := make([]anchorInUse, len(anchors))
	for i, anchor := range anchors {
		used[i] = anchorInUse{anchor, counts[anchor.Kind][anchor.SHA256]}
	}
	return used, nil
}

type anchorListCommand struct{}

// Run lists the anchors.
func (c *anchorListCommand) Run(app *app) error {
	return app.withStore(func(store *sqlite.Store) error {
		anchors, err := anchorsInUse(app, store)
		if err != nil {
			return err
		}
		list := app.list("kind", "subject", "serial", "not-before", "not-after", "origin", "phones", "sha256")
		for _, one := range anchors {
			list.add(one.Kind, one.Subject, one.Serial, capf.FormatTime(one.NotBefore), capf.FormatTime(one.NotAfter),
				one.Origin, one.phones, one.SHA256)
		}
		return list.close()
	})
}

type anchorRemoveCommand struct {
	Which string               `arg:"" name:"serial|sha256" help:"Serial number or SHA-256 of the anchor."`
	Kind  capf.CertificateKind `enum:",lsc,mic" default:"" help:"Which, where it is an anchor for both." placeholder:"KIND"`
	Force bool                 `help:"Also where phones hang on it: by existing certificate they are then refused."`
}

// Run removes an anchor on which no phone hangs.
func (c *anchorRemoveCommand) Run(app *app) error {
	return app.withStore(func(store *sqlite.Store) error {
		anchors, err := anchorsInUse(app, store)
		if err != nil {
			return err
		}
		anchor, err := c.choose(anchors)
		if err != nil {
			return err
		}
		if anchor.phones > 0 && !c.Force {
			return &capf.Error{Code: capf.CodeRefused, Message: fmt.Sprintf("the anchor %s is in use: %s, %s that it issued",
				anchor.Subject, plain.CountedAs(anchor.phones, "phone holds, or may hold", "phones hold, or may hold"), certificatesOf(anchor.Kind)), Hint: "give them others first, or remove it with --force: they are then refused by existing certificate"}
		}
		if err := store.RemoveAnchor(app.ctx, anchor.ID, fmt.Sprintf("phones=%d force=%t", anchor.phones, c.Force), actor()); err != nil {
			return err
		}
		app.say("%s vouches for %s no more; %s hung on it", anchor.Subject, certificatesOf(anchor.Kind), plain.Counted(anchor.phones, "phone"))
		return nil
	})
}

func certificatesOf(kind capf.CertificateKind) string {
	if kind == capf.MIC {
		return "MICs"
	}
	return "LSCs"
}

// choose finds the one anchor that is meant.
func (c *anchorRemoveCommand) choose(anchors []anchorInUse) (anchorInUse, error) {
	serial := normalSerial(c.Which)
	found := slices.DeleteFunc(anchors, func(anchor anchorInUse) bool {
		named := serial != "" && (anchor.Serial == serial || anchor.SHA256 == serial)
		return !named || c.Kind != "" && anchor.Kind != c.Kind
	})
	switch {
	case len(found) == 0:
		return anchorInUse{}, &capf.Error{Code: capf.CodeNotFound, Message: fmt.Sprintf("no trust anchor has serial number or SHA-256 %q", c.Which),
			Hint: "see `capf anchor list`"}
	case len(found) > 1:
		return anchorInUse{}, &capf.Error{Code: capf.CodeInvalid, Message: fmt.Sprintf("%d trust anchors are called %q", len(found), c.Which),
			Hint: "name it by its SHA-256, and --kind where it is an anchor for both"}
	case found[0].ID == 0:
		return anchorInUse{}, &capf.Error{Code: capf.CodeRefused, Message: found[0].Subject + " is the CAPF certificate in force, not an anchor that can be removed",
			Hint: "make another with `capf ca renew`"}
	}
	return found[0], nil
}
