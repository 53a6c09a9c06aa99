package main

import (
	"context"
	"crypto/rsa"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"golang.org/x/term"

	"capf/runtime/ca"
	"capf/runtime/capf"
	"capf/runtime/pkcs11"
	"capf/runtime/store/sqlite"
)

// The PINs of tokens come from the environment, or are asked for at the terminal; never from the command line, which
// everybody on the machine can read. Behind an underscore and the name of a token stands the PIN of that one alone.
const (
	tokenPIN = "CAPF_TOKEN_PIN" // of security tokens: CAPF_TOKEN_PIN_WEST for the one added as west
	keyPIN   = "CAPF_KEY_PIN"   // of what holds CAPF's own key: CAPF_KEY_PIN_HSM for the token labelled HSM
)

// hardware are the tokens of this run, and where their PINs come from.
type hardware struct {
	*pkcs11.Tokens
	variable func(name string) string
	terminal func(prompt string) (string, error) // nil: nobody is to be asked
}

// tokens gives the tokens of this run. They are closed when it ends.
func (a *app) tokens() *hardware {
	if a.opened == nil {
		a.opened = &hardware{Tokens: pkcs11.New(), variable: os.Getenv}
		if in, ok := a.stdin.(*os.File); ok && isTerminal(in) && isTerminal(a.stderr) {
			a.opened.terminal = func(prompt string) (string, error) { return a.readSecret(in, prompt) }
		}
	}
	return a.opened
}

// closeTokens logs out of the tokens.
func (a *app) closeTokens() {
	if a.opened != nil {
		a.opened.Close()
	}
}

// forService keeps the PINs for as long as the service runs, and takes them out of the environment, which the programs
// that it starts would inherit. Nobody is asked: a token that comes back is opened when nobody is there.
func (a *app) forService(log *slog.Logger) {
	kept := map[string]string{}
	for _, variable := range os.Environ() {
		name, value, _ := strings.Cut(variable, "=")
		if strings.HasPrefix(name, tokenPIN) || strings.HasPrefix(name, keyPIN) {
			kept[name] = value
			_ = os.Unsetenv(name) // fails for names that cannot be there
		}
	}
	tokens := a.tokens()
	tokens.variable, tokens.terminal = func(name string) string { return kept[name] }, nil
	tokens.Changed = func(key pkcs11.URI, err error) {
		if err != nil {
			log.Error("the CAPF key cannot be got at: phones are turned away until it is there again", "key", key.String(), "error", err)
			return
		}
		log.Info("the CAPF key is there again", "key", key.String())
	}
}

// environment is that of the machine, with the keys in tokens.
func (a *app) environment() ca.Environment {
	environment := ca.System()
	environment.TokenKey = func(reference string, public *rsa.PublicKey) (ca.TokenKey, error) {
		uri, err := pkcs11.ParseURI(reference)
		if err != nil {
			return nil, err
		}
		return a.tokens().Key(uri, public, a.tokens().askKeyPIN), nil
	}
	return environment
}

// newTokenKey makes or takes the key of an identity in the token that a URI names.
func (a *app) newTokenKey(uri pkcs11.URI, allowed func(*rsa.PublicKey) error) ca.NewTokenKey {
	return func(bits int) (ca.TokenKey, string, error) {
		tokens := a.tokens()
		key, created, err := tokens.LocateOrGenerate(uri, bits, []int{2048, 3072, 4096}, "CAPF", tokens.askKeyPIN)
		if err != nil {
			return nil, "", err
		}
		if err := allowed(key.Public().(*rsa.PublicKey)); err != nil {
			return nil, "", err
		}
		if created {
			a.say("the key was made in the token and cannot leave it: %s", key.URI())
		} else {
			a.say("the key that was in the token is taken: %s", key.URI())
		}
		return key, key.URI().String(), nil
	}
}

func (h *hardware) askKeyPIN(slot pkcs11.Slot) (string, error) {
	return h.pin(keyPIN, slot.Label, slot)
}

// askTokenPIN is for the security token of this name.
func (h *hardware) askTokenPIN(name string) pkcs11.AskPIN {
	return func(slot pkcs11.Slot) (string, error) { return h.pin(tokenPIN, name, slot) }
}

// pin looks for the PIN of one token, then for that of all, then asks.
func (h *hardware) pin(variable, name string, slot pkcs11.Slot) (string, error) {
	own := variable + "_" + variableName(name)
	for _, candidate := range []string{own, variable} {
		if value := h.variable(candidate); value != "" {
			return value, nil
		}
	}
	if h.terminal == nil {
		return "", &capf.Error{Code: capf.CodeInvalid, Message: "no PIN for " + slot.String(), Hint: fmt.Sprintf("set $%s or $%s", own, variable)}
	}
	return h.terminal(fmt.Sprintf("PIN of %s: ", slot))
}

// variableName makes a name the end of that of a variable: letters and digits stay, everything else becomes `_`.
func variableName(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		}
		return '_'
	}, name)
}

// readSecret reads a line without showing it. The terminal is as it was also where the run is interrupted.
func (a *app) readSecret(in *os.File, prompt string) (string, error) {
	before, err := term.GetState(int(in.Fd()))
	if err != nil {
		return "", fmt.Errorf("terminal: %w", err)
	}
	fmt.Fprint(a.stderr, prompt)
	type answer struct {
		secret []byte
		err    error
	}
	answered := make(chan answer, 1)
	go func() {
		secret, err := term.ReadPassword(int(in.Fd()))
		answered <- answer{secret, err}
	}()
	select {
	case got := <-answered:
		fmt.Fprintln(a.stderr)
		if got.err != nil {
			return "", fmt.Errorf("read the PIN: %w", got.err)
		}
		return string(got.secret), nil
	case <-a.ctx.Done():
		_ = term.Restore(int(in.Fd()), before)
		fmt.Fprintln(a.stderr)
		return "", context.Cause(a.ctx)
	}
}

// keyInToken gives how CAPF's key is made in the token that a URI names; nil where there is no URI.
func keyInToken(app *app, store *sqlite.Store, text string) (ca.NewTokenKey, error) {
	if text == "" {
		return nil, nil
	}
	uri, err := pkcs11.ParseURI(text)
	if err != nil {
		return nil, &capf.Error{Code: capf.CodeInvalid, Message: "key in a token", Err: err}
	}
	return app.newTokenKey(uri, func(public *rsa.PublicKey) error { return freeForCAPF(app, store, public) }), nil
}

// freeForCAPF sees that a key that lay in a token has no other part already: what signs lists must not be what phones
// enrol with, and each CAPF certificate has a key of its own.
func freeForCAPF(app *app, store *sqlite.Store, public *rsa.PublicKey) error {
	tokens, err := store.Tokens(app.ctx)
	if err != nil {
		return err
	}
	for _, token := range tokens {
		if certificate := parseStored(token.Certificate); certificate != nil && public.Equal(certificate.PublicKey) {
			return &capf.Error{Code: capf.CodeRefused, Message: "that key is the one of the security token " + token.Name, Hint: "name another label, under which a key is made"}
		}
	}
	own, err := ca.Certificates(app.data)
	if err != nil {
		return err
	}
	for _, certificate := range own {
		if public.Equal(certificate.PublicKey) {
			return &capf.Error{Code: capf.CodeRefused, Message: "that key is the one of the CAPF certificate " + certificate.Subject.CommonName, Hint: "name another label, under which a key is made"}
		}
	}
	return nil
}
