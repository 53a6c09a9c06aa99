package main

import (
	"errors"
	"net/netip"
	"net/url"
	"os"

	"crypto/x509"

	"capf/runtime/capf"
	"capf/runtime/daemon"
	"capf/runtime/store/sqlite"
)

type nodeCommands struct {
	Add    nodeAddCommand    `cmd:"" help:"Add a server of the cluster."`
	Set    nodeSetCommand    `cmd:"" help:"Change a server of the cluster, in one step: a renewed certificate, another address or place."`
	List   nodeListCommand   `cmd:"" help:"All servers."`
	Remove nodeRemoveCommand `cmd:"" help:"Forget a server; its files stay."`
	Check  nodeCheckCommand  `cmd:"" help:"Log in to each server and try its folders."`
}

type nodeAddCommand struct {
	Name         string        `arg:"" help:"Host name."`
	Role         capf.NodeRole `required:"" help:"ccm+tftp, ccm or tftp." placeholder:"ROLE"`
	Address      netip.Addr    `required:"" help:"IPv4 address." placeholder:"IP"`
	Publisher    bool          `help:"This is the publisher, on which CAPF runs; a cluster has one."`
	DNSName      string        `name:"dns-name" help:"Name by which phones reach it; default: its name." placeholder:"NAME"`
	Certificate  string        `help:"Its certificate, PEM or DER; without one it cannot stand in a trust list." type:"path" placeholder:"FILE"`
	TVS          string        `name:"tvs-certificate" help:"Certificate of its trust verification service, PEM or DER, for the ITL." type:"path" placeholder:"FILE"`
	Target       string        `required:"" help:"Where its files go: file:///dir or sftp://user@host:port/dir" placeholder:"URL"`
	Certificates string        `help:"Folder for certificates, below the target." default:"Certificates" placeholder:"DIR"`
	TFTP         string        `name:"tftp" help:"Folder for the trust list, below the target." default:"TFTPPath" placeholder:"DIR"`
}

// Run adds the node after all of it has been checked.
func (c *nodeAddCommand) Run(app *app) error {
	node := capf.Node{Name: c.Name, Role: c.Role, Address: c.Address, DNSName: c.DNSName, Publisher: c.Publisher,
		Target: c.Target, CertificatesDir: c.Certificates, TFTPDir: c.TFTP}
	if err := node.Validate(); err != nil {
		return err
	}
	if err := daemon.Receiver(node).Validate(); err != nil {
		return &capf.Error{Code: capf.CodeInvalid, Message: "node", Err: err}
	}
	if c.Certificate != "" {
		der, err := readNodeCertificate(app, c.Name, c.Certificate)
		if err != nil {
			return err
		}
		node.Certificate = der
	}
	if c.TVS != "" {
		der, err := readCertificate(c.TVS)
		if err != nil {
			return err
		}
		node.TVSCertificate = der
	}
	return app.withStore(func(store *sqlite.Store) error {
		if target, err := url.Parse(node.Target); err == nil && target.Scheme == "file" {
			if err := app.keepOutOf(store, output{"the target", target.Path}); err != nil {
				return err
			}
		}
		if err := store.AddNode(app.ctx, node, actor()); err != nil {
			return err
		}
		if node.Certificate == nil {
			app.say("%s has no certificate: it can receive files, but `capf ctl build` will refuse", node.Name)
		}
		return nil
	})
}

// readNodeCertificate reads the certificate of a node: of a chain its own.
func readNodeCertificate(app *app, node, path string) ([]byte, error) {
	der, err := readCertificate(path)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	newer, err := checkListKey(certificate)
	if err != nil {
		return nil, &capf.Error{Code: capf.CodeInvalid, Message: "certificate " + path, Err: err, Hint: "give the server one with an RSA key"}
	}
	if newer {
		app.say("the certificate of %s has an EC key, which only newer phones know: see that yours take a list with it", node)
	}
	return der, nil
}

const maxCertificateFile = 1 << 20

// readCertificate reads one certificate, PEM or DER, or of a chain in PEM the one at its end, and gives its DER.
func readCertificate(path string) ([]byte, error) {
	refuse := func(err error) error {
		return &capf.Error{Code: capf.CodeInvalid, Message: "certificate " + path, Err: err, Hint: "give one certificate, PEM or DER, or its chain in PEM"}
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, refuse(err)
	}
	if !info.Mode().IsRegular() || info.Size() > maxCertificateFile {
		return nil, refuse(errors.New("it is no file of at most 1 MiB"))
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, refuse(err)
	}
	certificate, err := chosenCertificate(content)
	if err != nil {
		return nil, refuse(err)
	}
	return certificate.Raw, nil
}

type nodeListCommand struct{}

// Run lists the nodes.
func (c *nodeListCommand) Run(app *app) error {
	return app.withStore(func(store *sqlite.Store) error {
		nodes, err := store.Nodes(app.ctx)
		if err != nil {
			return err
		}
		list := app.list("name", "role", "address", "publisher", "dns-name", "certificate", "target", "certificates", "tftp", "tvs-certificate")
		for _, node := range nodes {
			if err := list.add(node.Name, node.Role, node.Address.String(), node.Publisher, node.DNSName, subjectOf(node.Certificate), node.Target,
				node.CertificatesDir, node.TFTPDir, subjectOf(node.TVSCertificate)); err != nil {
				return err
			}
		}
		return list.close()
	})
}

// subjectOf gives the subject of a certificate, empty for none.
func subjectOf(der []byte) string {
	if certificate := parseStored(der); certificate != nil {
		return certificate.Subject.String()
	}
	return ""
}

type nodeRemoveCommand struct {
	Name string `arg:"" help:"Name of the node."`
}

// Run removes the node.
func (c *nodeRemoveCommand) Run(app *app) error {
	return app.withStore(func(store *sqlite.Store) error { return store.RemoveNode(app.ctx, c.Name, actor()) })
}
