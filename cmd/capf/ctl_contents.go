package main

import (
	"crypto/x509"

	"capf/ctl"
	"capf/runtime/ca"
	"capf/runtime/capf"
	"capf/runtime/store/sqlite"
)

// gatherContents gathers what a list is made of: tokens, nodes, and the CAPF certificate under the publisher's
// name, with the next one where there is one. No key is used.
func gatherContents(app *app, store *sqlite.Store, tokens []capf.Token) (ctl.Contents, error) {
	authority, err := app.authority()
	if err != nil {
		return ctl.Contents{}, err
	}
	contents := ctl.Contents{}
	for _, token := range tokens {
		contents.Tokens = append(contents.Tokens, ctl.SAST{Name: token.Name, Certificate: parseStored(token.Certificate)})
	}
	next, err := ca.Next(app.data, app.environment())
	if err != nil && !capf.HasCode(err, capf.CodeNotFound) {
		return ctl.Contents{}, err
	}
	own := []*x509.Certificate{authority.Certificate}
	if next != nil {
		own = append(own, next.Certificate)
	}
	return contents, addServers(app, store, &contents, own)
}

// addServers adds the nodes, and the CAPF certificates under the publisher's name.
func addServers(app *app, store *sqlite.Store, contents *ctl.Contents, own []*x509.Certificate) error {
	nodes, err := store.Nodes(app.ctx)
	if err != nil {
		return err
	}
	for _, node := range nodes {
		role, err := ctl.ParseRole(string(node.Role))
		if err != nil {
			return err
		}
		server := ctl.Server{Name: node.Name, DNSName: node.HostName(), Address: node.Address, Role: role, Certificate: parseStored(node.Certificate)}
		contents.Servers = append(contents.Servers, server)
		if !node.Publisher {
			continue
		}
		for _, certificate := range own {
			server.Certificate = certificate
			contents.CAPF = append(contents.CAPF, server)
		}
	}
	if len(contents.CAPF) == 0 {
		return &capf.Error{Code: capf.CodeRefused, Message: "no node is the publisher, on which CAPF runs",
			Hint: "add it with `capf node add NAME --publisher`"}
	}
	return nil
}
