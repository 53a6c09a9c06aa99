package main

import (
	"capf/ctl"
	"capf/runtime/capf"
	"capf/runtime/store/sqlite"
)

type tokenCommands struct {
	Add    tokenAddCommand    `cmd:"" help:"Add a token: one certificate and its RSA key in a PEM file. The store keeps the path, not the key."`
	List   tokenListCommand   `cmd:"" help:"All tokens."`
	Remove tokenRemoveCommand `cmd:"" help:"Forget a token; its file stays."`
}

type tokenAddCommand struct {
	Name string `arg:"" help:"Your name for the token."`
	File string `required:"" help:"PEM file." type:"path" placeholder:"PEM"`
}

// Run adds the token after its certificate and key were found to belong together.
func (c *tokenAddCommand) Run(app *app) error {
	token, err := ctl.LoadToken(c.File)
	if err != nil {
		return &capf.Error{Code: capf.CodeInvalid, Message: "token " + c.Name, Err: err}
	}
	return app.withStore(func(store *sqlite.Store) error {
		return store.AddToken(app.ctx, capf.Token{Name: c.Name, Location: c.File, Certificate: token.Certificate.Raw}, actor())
	})
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
			if err := list.add(token.Name, certificate.Subject, certificate.Serial, capf.FormatTime(certificate.NotAfter), token.Location); err != nil {
				return err
			}
		}
		return list.close()
	})
}

type tokenRemoveCommand struct {
	Name string `arg:"" help:"Name of the token."`
}

// Run removes the token.
func (c *tokenRemoveCommand) Run(app *app) error {
	return app.withStore(func(store *sqlite.Store) error { return store.RemoveToken(app.ctx, c.Name, actor()) })
}
