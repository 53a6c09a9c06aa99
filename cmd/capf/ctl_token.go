package main

import (
	"bytes"
	"cmp"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"capf/ctl"
	"capf/runtime/capf"
	"capf/runtime/pkcs11"
	"capf/runtime/store/sqlite"
)

type tokenCommands struct {
	Add    tokenAddCommand    `cmd:"" help:"Add a token: a certificate and its RSA key, in a PEM file or in hardware. The store keeps where the key is, never the key or a PIN."`
	List   tokenListCommand   `cmd:"" help:"All tokens."`
	Remove tokenRemoveCommand `cmd:"" help:"Forget a token; its file or hardware stays as it is."`
}

type tokenAddCommand struct {
	Name        string `arg:"" help:"Your name for the token."`
	File        string `help:"PEM file with certificate and key." type:"path" placeholder:"PEM" xor:"where" required:""`
	PKCS11      string `name:"pkcs11" help:"Key in hardware (RFC 7512): pkcs11:token=LABEL;object=LABEL?module-path=LIBRARY. The PIN is in $CAPF_TOKEN_PIN or $CAPF_TOKEN_PIN_NAME, or asked for." placeholder:"URI" xor:"where" required:""`
	Certificate string `help:"The certificate, PEM or DER, where it does not lie in the hardware with the key." type:"path" placeholder:"FILE"`
}

// Run adds the token after its certificate and key were found to belong together.
func (c *tokenAddCommand) Run(app *app) error {
	place := c.File
	if c.PKCS11 != "" {
		place = c.PKCS11
	}
	token, err := newToken(app, c.Name, place, c.Certificate)
	if err != nil {
		return err
	}
	return app.withStore(func(store *sqlite.Store) error { return store.AddToken(app.ctx, token, actor()) })
}

// newToken reads a token from a PEM file or, by a PKCS #11 URI, from hardware, and sees that it can sign.
func newToken(app *app, name, place, certificateFile string) (capf.Token, error) {
	if !pkcs11.IsURI(place) {
		if certificateFile != "" {
			return capf.Token{}, &capf.Error{Code: capf.CodeInvalid, Message: "token " + name + ": a certificate beside a PEM file", Hint: "a PEM file holds both; --certificate goes with --pkcs11"}
		}
		token, err := ctl.LoadToken(place)
		if err != nil {
			return capf.Token{}, &capf.Error{Code: capf.CodeInvalid, Message: "token " + name, Err: err}
		}
		return capf.Token{Name: name, Location: place, Certificate: token.Certificate.Raw}, nil
	}
	uri, err := pkcs11.ParseURI(place)
	if err != nil {
		return capf.Token{}, &capf.Error{Code: capf.CodeInvalid, Message: "token " + name, Err: err}
	}
	certificate, uri, err := findHardware(app, name, uri, certificateFile)
	if err != nil {
		return capf.Token{}, err
	}
	return capf.Token{Name: name, Location: uri.String(), Certificate: certificate.Raw}, nil
}

// findHardware finds certificate and key, and names the key so that it stays the one.
func findHardware(app *app, name string, uri pkcs11.URI, certificateFile string) (*x509.Certificate, pkcs11.URI, error) {
	ask := app.tokens().askTokenPIN(name)
	if certificateFile == "" {
		key, err := app.tokens().Locate(uri, ask)
		if err != nil {
			return nil, uri, err
		}
		certificate, err := key.Certificate()
		if err != nil {
			return nil, uri, err
		}
		return certificate, key.URI(), checkTokenKey(name, certificate)
	}
	der, err := readCertificate(certificateFile)
	if err != nil {
		return nil, uri, err
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, uri, err
	}
	if err := checkTokenKey(name, certificate); err != nil {
		return nil, uri, err
	}
	return certificate, uri, app.tokens().Key(uri, certificate.PublicKey.(*rsa.PublicKey), ask).Prove()
}

// checkTokenKey sees that lists can be signed with the key of a certificate.
func checkTokenKey(name string, certificate *x509.Certificate) error {
	if err := ctl.CheckToken(certificate); err != nil {
		return &capf.Error{Code: capf.CodeInvalid, Message: "token " + name, Err: err}
	}
	return nil
}

// openToken gives a token with its key, if it is still what it was.
func openToken(app *app, stored capf.Token) (*ctl.Token, error) {
	if !pkcs11.IsURI(stored.Location) {
		return loadSigner(stored)
	}
	uri, err := pkcs11.ParseURI(stored.Location)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(stored.Certificate)
	if err != nil {
		return nil, fmt.Errorf("its certificate in the store: %w", err)
	}
	public, isRSA := certificate.PublicKey.(*rsa.PublicKey)
	if !isRSA {
		return nil, errors.New("its certificate in the store is not one of an RSA key")
	}
	key := app.tokens().Key(uri, public, app.tokens().askTokenPIN(stored.Name))
	return &ctl.Token{Certificate: certificate, Signer: key}, key.Prove()
}

// loadSigner loads a token from its PEM file, if that is still what it was.
func loadSigner(token capf.Token) (*ctl.Token, error) {
	loaded, err := ctl.LoadToken(token.Location)
	if err == nil && !bytes.Equal(loaded.Certificate.Raw, token.Certificate) {
		err = errors.New("its file holds another certificate than when it was added")
	}
	return loaded, err
}

// tokenAtHand says why a token could not sign now, as far as that can be seen without its PIN.
func tokenAtHand(app *app, token capf.Token) error {
	if !pkcs11.IsURI(token.Location) {
		_, err := loadSigner(token)
		return err
	}
	uri, err := pkcs11.ParseURI(token.Location)
	if err != nil {
		return err
	}
	_, err = app.tokens().Find(uri)
	return err
}

// oneHardware reports whether all tokens lie in one piece of hardware, with which they are lost together.
func oneHardware(tokens []capf.Token) bool {
	places := map[string]bool{}
	for _, token := range tokens {
		uri, err := pkcs11.ParseURI(token.Location)
		if err != nil {
			return false
		}
		uri.Object, uri.ID = "", nil
		places[uri.String()] = true
	}
	return len(tokens) > 1 && len(places) == 1
}

type tokenListCommand struct{}

// Run lists the tokens.
func (c *tokenListCommand) Run(app *app) error {
	return app.withStore(func(store *sqlite.Store) error {
		tokens, err := store.Tokens(app.ctx)
		if err != nil {
			return err
		}
		list := app.list("name", "subject", "serial", "not-after", "location")
		for _, token := range tokens {
			certificate, err := capf.ReadCertificate(token.Certificate)
			if err != nil {
				return err
			}
			list.add(token.Name, certificate.Subject, certificate.Serial, capf.FormatTime(certificate.NotAfter), token.Location)
		}
		return list.close()
	})
}

type tokenRemoveCommand struct {
	Name string `arg:"" help:"Name of the token."`
}

// Run removes the token, and says so where phones then take no list of the others.
func (c *tokenRemoveCommand) Run(app *app) error {
	return app.withStore(func(store *sqlite.Store) error {
		if err := store.RemoveToken(app.ctx, c.Name, actor()); err != nil {
			return err
		}
		tokens, err := store.Tokens(app.ctx)
		if err != nil {
			return err
		}
		field, err := store.FieldCTL(app.ctx)
		if capf.HasCode(err, capf.CodeNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		sasts, err := sastsOf(field)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(tokens, func(token capf.Token) bool {
			return slices.ContainsFunc(sasts, func(sast *x509.Certificate) bool { return bytes.Equal(sast.Raw, token.Certificate) })
		}) {
			app.say("warning: none of your tokens is in the list that phones hold (version %d) any more: they will take no other list until one of %s is added again",
				field.Version, cmp.Or(serialsOf(sasts), "its tokens"))
		}
		return nil
	})
}

// sastsOf gives the certificates of the security tokens in a list. One that cannot be read is passed over: it is none of
// our tokens, which were read before they were stored.
func sastsOf(list capf.CTLVersion) ([]*x509.Certificate, error) {
	file, err := ctl.Decode(list.File)
	if err != nil {
		return nil, err
	}
	var certificates []*x509.Certificate
	for _, record := range file.RecordsOf(ctl.RoleSAST) {
		if certificate, err := record.ParseCertificate(); err == nil {
			certificates = append(certificates, certificate)
		}
	}
	return certificates, nil
}

func serialsOf(certificates []*x509.Certificate) string {
	text := ""
	for i, certificate := range certificates {
		if i > 0 {
			text += ", "
		}
		text += fmt.Sprintf("%s (serial number %s)", certificate.Subject, hex.EncodeToString(ctl.SerialBytes(certificate)))
	}
	return text
}
