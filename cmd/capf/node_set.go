package main

import (
	"net/netip"
	"slices"
	"strings"

	"capf/runtime/capf"
	"capf/runtime/daemon"
	"capf/runtime/store/sqlite"
)

type nodeSetCommand struct {
	Name         string         `arg:"" help:"Name of the node."`
	Role         *capf.NodeRole `help:"ccm+tftp, ccm or tftp." placeholder:"ROLE"`
	Address      *netip.Addr    `help:"IPv4 address." placeholder:"IP"`
	DNSName      *string        `name:"dns-name" help:"Name by which phones reach it; empty: its name." placeholder:"NAME"`
	Certificate  string         `help:"Its new certificate, PEM or DER." type:"path" placeholder:"FILE"`
	Target       *string        `help:"Where its files go: file:///dir or sftp://user@host:port/dir" placeholder:"URL"`
	Certificates *string        `help:"Folder for certificates, below the target." placeholder:"DIR"`
	TFTP         *string        `name:"tftp" help:"Folder for the trust list, below the target." placeholder:"DIR"`
}

// Run changes the node in one step, after all of it has been checked.
func (c *nodeSetCommand) Run(app *app) error {
	var certificate []byte
	if c.Certificate != "" {
		der, err := readNodeCertificate(app, c.Name, c.Certificate)
		if err != nil {
			return err
		}
		certificate = der
	}
	return app.withStore(func(store *sqlite.Store) error {
		changed, err := store.ChangeNode(app.ctx, c.Name, func(node *capf.Node) error { return c.change(node, certificate) }, actor())
		if err != nil {
			return err
		}
		c.tell(app, changed)
		return app.fields([]string{"node", "changed"}, []any{c.Name, strings.Join(changed, " ")})
	})
}

func (c *nodeSetCommand) change(node *capf.Node, certificate []byte) error {
	if certificate != nil {
		node.Certificate = certificate
	}
	if c.Role != nil {
		node.Role = *c.Role
	}
	if c.Address != nil {
		node.Address = *c.Address
	}
	for _, text := range []struct{ from, to *string }{
		{c.DNSName, &node.DNSName}, {c.Target, &node.Target}, {c.Certificates, &node.CertificatesDir}, {c.TFTP, &node.TFTPDir},
	} {
		if text.from != nil {
			*text.to = *text.from
		}
	}
	if err := node.Validate(); err != nil {
		return err
	}
	if err := daemon.Receiver(*node).Validate(); err != nil {
		return &capf.Error{Code: capf.CodeInvalid, Message: "node", Err: err}
	}
	return nil
}

// tell says what has to follow for servers and phones to know it.
func (c *nodeSetCommand) tell(app *app, changed []string) {
	listed := slices.ContainsFunc(changed, func(name string) bool {
		return slices.Contains([]string{"role", "address", "dns-name", "certificate"}, name)
	})
	switch {
	case listed:
		app.say("phones know it once a list has it: `capf ctl build`, then `capf ctl distribute`")
	case len(changed) > 0:
		app.say("what lies at the place before stays there; `capf ctl distribute %s` brings its files to the new one", c.Name)
	}
}
