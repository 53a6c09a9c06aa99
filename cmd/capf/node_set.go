package main

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

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
	TVS          *string        `name:"tvs-certificate" help:"Certificate of its trust verification service, PEM or DER, for the ITL; empty: it has none." placeholder:"FILE"`
	Target       *string        `help:"Where its files go: file:///dir or sftp://user@host:port/dir" placeholder:"URL"`
	Certificates *string        `help:"Folder for certificates, below the target." placeholder:"DIR"`
	TFTP         *string        `name:"tftp" help:"Folder for the trust list, below the target." placeholder:"DIR"`
}

// Run changes the node in one step, after all of it has been checked.
func (c *nodeSetCommand) Run(app *app) error {
	certificate, tvs, err := c.certificates(app)
	if err != nil {
		return err
	}
	return app.withStore(func(store *sqlite.Store) error {
		changed, err := store.ChangeNode(app.ctx, c.Name, func(node *capf.Node) error { return c.change(node, certificate, tvs) }, actor())
		if err != nil {
			return err
		}
		c.tell(app, changed)
		return app.fields([]string{"node", "changed"}, []any{c.Name, strings.Join(changed, " ")})
	})
}

// certificates reads those that are given: that of the node, and that of its trust verification service.
func (c *nodeSetCommand) certificates(app *app) (own, tvs []byte, err error) {
	if c.Certificate != "" {
		if own, err = readNodeCertificate(app, c.Name, c.Certificate); err != nil {
			return nil, nil, err
		}
	}
	if c.TVS != nil && *c.TVS != "" {
		if tvs, err = readCertificate(kong.ExpandPath(*c.TVS)); err != nil {
			return nil, nil, err
		}
	}
	return own, tvs, nil
}

func (c *nodeSetCommand) change(node *capf.Node, certificate, tvs []byte) error {
	if certificate != nil {
		node.Certificate = certificate
	}
	if c.TVS != nil {
		node.TVSCertificate = tvs
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
	case slices.Contains(changed, "tvs-certificate"):
		app.say("phones know it once an ITL has it: `capf ctl build --itl`, then `capf ctl distribute`")
	case len(changed) > 0:
		app.say("what lies at the place before stays there; `capf ctl distribute %s` brings its files to the new one", c.Name)
	}
}
