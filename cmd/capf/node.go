package main

import (
	"cmp"
	"crypto/x509"
	"errors"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"capf/ctl/distribute"
	"capf/runtime/capf"
	"capf/runtime/daemon"
	"capf/runtime/store/sqlite"
)

// The servers of the cluster, and what it takes to reach them.

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
			list.add(node.Name, node.Role, node.Address.String(), node.Publisher, node.DNSName, subjectOf(node.Certificate), node.Target,
				node.CertificatesDir, node.TFTPDir, subjectOf(node.TVSCertificate))
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

type nodeCheckCommand struct {
	Names []string `arg:"" optional:"" name:"name" help:"Only these nodes."`
}

// Run logs in to each node and tries its folders; where not all is good the exit status is 3.
func (c *nodeCheckCommand) Run(app *app) error {
	return app.withStore(func(store *sqlite.Store) error {
		nodes, err := namedNodes(app, store, c.Names)
		if err != nil {
			return err
		}
		return app.reachAlone(func(options distribute.Options) error {
			return printChecks(app, distribute.Check(app.ctx, daemon.Receivers(nodes), options))
		})
	})
}

func printChecks(app *app, checks []distribute.NodeCheck) error {
	list := app.list("node", "good", "reachable", "host-key", "login", "certificates", "certificates-free", "tftp", "tftp-free", "clock-difference", "error")
	var failures []error
	for _, check := range checks {
		if check.Err != nil {
			failures = append(failures, errors.New(check.Error))
		}
		// Both are one folder where a node has only one.
		certificates, tftp := distribute.FolderCheck{}, distribute.FolderCheck{}
		if len(check.Folders) > 0 {
			certificates, tftp = check.Folders[0], check.Folders[len(check.Folders)-1]
		}
		list.add(check.Node, check.Good, check.Reachable, check.HostKey, check.Login, folderWord(certificates), known(certificates.Free),
			folderWord(tftp), known(tftp.Free), known(check.Clock), check.Error)
	}
	if err := list.close(); err != nil {
		return err
	}
	return partly(failures, len(checks), "are not fit to receive files", "mend them and run `capf node check` again")
}

func folderWord(folder distribute.FolderCheck) string {
	switch {
	case folder.Writable == distribute.Yes && folder.Exists == distribute.No:
		return "to be made"
	case folder.Writable == distribute.Yes:
		return "writable"
	case folder.Writable == distribute.No:
		return "not writable"
	}
	return string(cmp.Or(folder.Writable, distribute.Unknown))
}

// known gives a number, or the word for none.
func known[T any](number *T) any {
	if number == nil {
		return distribute.Unknown
	}
	return *number
}

// reach gives what it takes to get to the nodes: by file and by SFTP, under the limits of the configuration.
func (a *app) reach() (distribute.Options, error) {
	settings, err := a.settings()
	if err != nil {
		return distribute.Options{}, err
	}
	return daemon.Reach(settings.Distribute, a.data), nil
}

// reachAlone is reach for work that writes to the nodes: one process at a time from a data directory.
func (a *app) reachAlone(work func(distribute.Options) error) (err error) {
	options, err := a.reach()
	if err != nil {
		return err
	}
	lock, err := distribute.Lock(a.data)
	if errors.Is(err, distribute.ErrLocked) {
		return &capf.Error{Code: capf.CodeBusy, Message: "nodes", Err: err}
	}
	if err != nil {
		return &capf.Error{Code: capf.CodeUnavailable, Message: "nodes", Err: err}
	}
	defer func() {
		if unlocked := lock.Unlock(); err == nil {
			err = unlocked
		}
	}()
	options.Instance = lock.Instance
	return work(options)
}
