package main

import (
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"capf/runtime/ca"
	"capf/runtime/capf"
	"capf/runtime/store/sqlite"
)

type initCommand struct {
	CommonName         string  `help:"Common name of the CAPF certificate; default: CAPF- and 8 hex digits." placeholder:"CN" xor:"cn"`
	Organization       *string `help:"Organization in the CAPF certificate and in LSCs; default: CAPF." placeholder:"O" xor:"o"`
	OrganizationalUnit *string `help:"Organizational unit in the CAPF certificate and in LSCs; default: CAPF." placeholder:"OU" xor:"ou"`
	KeySize            int     `help:"Bits of CAPF's RSA key: 2048, 3072 or 4096; default: 2048." placeholder:"BITS" xor:"size"`
	From               string  `help:"Take over the certificate and key of this PEM file, which phones know already (capf.pem of a usecallmanager daemon)." type:"path" placeholder:"FILE" xor:"cn,o,ou,size,where"`
	PKCS11             string  `name:"pkcs11" help:"Make CAPF's key in this token, which it never leaves, or take the one that the URI names there: pkcs11:token=LABEL?module-path=LIBRARY. The PIN is in $CAPF_KEY_PIN, or asked for." placeholder:"URI" xor:"where"`
}

// Run activates CAPF; where it is active already nothing changes but the schema of an older store.
func (c *initCommand) Run(app *app) (err error) {
	if c.From != "" {
		return c.takeOver(app)
	}
	options := ca.Options{CommonName: c.CommonName, Organization: orDefault(c.Organization),
		OrganizationalUnit: orDefault(c.OrganizationalUnit), KeySize: c.KeySize}
	if err := options.Check(); err != nil {
		return err
	}
	store, rest, err := c.store(app)
	if err != nil {
		return err
	}
	defer closeInto(&err, store)
	if options.NewKey, err = keyInToken(app, store, c.PKCS11); err != nil {
		return err
	}
	authority, created, err := ca.Activate(app.data, options, app.environment())
	if err != nil {
		return err
	}
	if created && c.PKCS11 != "" {
		notes, err := authority.Ready()
		if err != nil {
			return err
		}
		for _, note := range notes {
			app.say("note: %s", note)
		}
	}
	if created {
		app.say("CAPF is active as %s; its certificate is %s", authority.Name(), filepath.Join(app.data, "CAPF.cer"))
	} else {
		app.say("CAPF was active already as %s; %s", authority.Name(), rest)
		c.sayIgnored(app, authority)
	}
	return remindOfList(app, store, authority)
}

// sayIgnored names what was asked for and is not so: the identity that is there stays as it is.
func (c *initCommand) sayIgnored(app *app, authority *ca.Authority) {
	var ignored []string
	subject := authority.Certificate.Subject
	for _, flag := range []struct {
		name  string
		other bool
	}{
		{"--common-name", c.CommonName != "" && c.CommonName != subject.CommonName},
		{"--organization", c.Organization != nil && *c.Organization != strings.Join(subject.Organization, "")},
		{"--organizational-unit", c.OrganizationalUnit != nil && *c.OrganizationalUnit != strings.Join(subject.OrganizationalUnit, "")},
		{"--pkcs11", c.PKCS11 != "" && authority.InToken() == ""},
		{"--key-size", c.KeySize != 0 && c.KeySize != bitsOf(authority.Certificate)},
	} {
		if flag.other {
			ignored = append(ignored, flag.name)
		}
	}
	if len(ignored) > 0 {
		app.say("warning: without effect: %s; the identity stays as it is, and `capf ca renew` makes its successor, which can be another",
			strings.Join(ignored, ", "))
	}
}

// bitsOf gives the size of an RSA key, 0 for another key.
func bitsOf(certificate *x509.Certificate) int {
	public, isRSA := certificate.PublicKey.(*rsa.PublicKey)
	if !isRSA {
		return 0
	}
	return public.N.BitLen()
}

// store opens the store, makes it or brings it up to date, and gives the words for the rest: what was changed beyond that
// where CAPF is active already.
func (c *initCommand) store(app *app) (_ *sqlite.Store, rest string, err error) {
	_, missing := os.Stat(app.storePath())
	store, err := app.newStore()
	if err != nil {
		return nil, "", err
	}
	switch {
	case missing != nil:
		return store, "there was no store, so an empty one was made: " + app.storePath(), nil
	case store.Upgraded() != nil: // which newStore has told
		return store, "nothing but the schema of the store was changed", nil
	}
	return store, "nothing was changed", nil
}

// orDefault gives the name that stands in certificates where nobody gave one; one that was given may be empty.
func orDefault(given *string) string {
	if given == nil {
		return "CAPF"
	}
	return *given
}

// takeOver activates CAPF with an identity that exists. The file stays as it is. One that is refused is refused before
// anything is made for it.
func (c *initCommand) takeOver(app *app) (err error) {
	content, err := readIdentity(c.From)
	if err != nil {
		return err
	}
	if err := ca.CheckTakeOver(app.data, content, ca.System()); err != nil {
		return fmt.Errorf("%s: %w", c.From, err)
	}
	store, rest, err := c.store(app)
	if err != nil {
		return err
	}
	defer closeInto(&err, store)
	taken, err := ca.TakeOver(app.data, content, ca.System())
	if err != nil {
		return err
	}
	for _, note := range taken.Notes {
		app.say("note: %s", note)
	}
	if taken.Created {
		app.say("CAPF is active as %s, taken over from %s: phones that know it need no new list; its certificate is %s",
			taken.Name(), c.From, filepath.Join(app.data, "CAPF.cer"))
		app.say("%s still holds the private key: remove it where it is not needed any more, and let no other CAPF go on with it", c.From)
	} else {
		app.say("CAPF was active already as %s, which is the one in %s; %s", taken.Name(), c.From, rest)
	}
	return remindOfList(app, store, taken.Authority)
}

// readIdentity reads a file of a size that an identity can have.
func readIdentity(path string) (content []byte, err error) {
	refuse := func(err error) error {
		return &capf.Error{Code: capf.CodeInvalid, Message: "identity " + path, Err: err, Hint: "give one PEM file with certificate and key"}
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, refuse(err)
	}
	if !info.Mode().IsRegular() {
		return nil, refuse(errors.New("it is no file"))
	}
	opened, err := os.Open(path)
	if err != nil {
		return nil, refuse(err)
	}
	defer opened.Close()
	if content, err = io.ReadAll(io.LimitReader(opened, ca.MaxIdentityFile+1)); err != nil {
		return nil, refuse(err)
	}
	return content, nil
}
