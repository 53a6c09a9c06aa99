package daemon

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"path/filepath"

	"capf/ctl/distribute"
	"capf/runtime/ca"
	"capf/runtime/capf"
	"capf/runtime/config"
)

// KnownHostsFile is where in the data directory host keys of servers are unless the configuration names another file.
const KnownHostsFile = "known_hosts"

// Reach gives what it takes to get to the nodes: by file and by SFTP, under the limits of the configuration. Keys and
// known hosts are read when the first node is opened.
func Reach(settings config.Distribute, data string) distribute.Options {
	login := distribute.SSH{User: settings.User, Password: string(settings.Password), Identities: settings.IdentityFiles,
		Passphrase: string(settings.Passphrase), Agent: settings.AgentAt, KnownHosts: settings.KnownHosts,
		ConnectTimeout: settings.ConnectTimeout.Duration, OperationTimeout: settings.OperationTimeout.Duration}
	if login.KnownHosts == "" {
		login.KnownHosts = filepath.Join(data, KnownHostsFile)
	}
	return distribute.Options{Parallel: settings.Parallel, Timeout: settings.NodeTimeout.Duration,
		Openers: map[string]distribute.Opener{"file": distribute.OpenFolder, "sftp": login.Opener()}}
}

// Receiver gives a node as one that files go to.
func Receiver(node capf.Node) distribute.Node {
	return distribute.Node{Name: node.Name, Target: node.Target, CertificatesDir: node.CertificatesDir, TFTPDir: node.TFTPDir}
}

// Receivers is Receiver for all of them, in their order.
func Receivers(nodes []capf.Node) []distribute.Node {
	receivers := make([]distribute.Node, len(nodes))
	for i, node := range nodes {
		receivers[i] = Receiver(node)
	}
	return receivers
}

// Payload gives what every node should hold: a list with the CAPF certificate in force, the earlier ones that are
// still anchors for LSCs, and the next or past one of the data directory that is in the list too. CodeRefused where
// phones would take nothing from this CAPF by that list.
func Payload(ctx context.Context, store anchorStore, data string, inForce *x509.Certificate, list capf.CTLVersion) (*distribute.Payload, error) {
	own, err := ca.Certificates(data)
	if err != nil {
		return nil, err
	}
	stored, err := store.Anchors(ctx, capf.LSC)
	if err != nil {
		return nil, err
	}
	certificates := distribute.Certificates{InForce: inForce, Others: own}
	for _, anchor := range stored {
		// They were checked before they were stored.
		if certificate, err := x509.ParseCertificate(anchor.DER); err == nil {
			certificates.Anchors = append(certificates.Anchors, certificate)
		}
	}
	payload, err := payloadOf(certificates, list)
	if err != nil {
		return nil, refusedList(list, err)
	}
	return payload, nil
}

// payloadOf gives a list, and the ITL that was made with it, to go out with certificates.
func payloadOf(certificates distribute.Certificates, list capf.CTLVersion) (*distribute.Payload, error) {
	payload, err := distribute.NewPayload(certificates, list.File)
	if err == nil && len(list.ITL) > 0 {
		err = payload.AddITL(list.ITL)
	}
	return payload, err
}

func refusedList(list capf.CTLVersion, err error) error {
	return &capf.Error{Code: capf.CodeRefused, Message: fmt.Sprintf("list version %d", list.Version), Err: err,
		Hint: "make a new one with `capf ctl build`"}
}

// KnownVersions tells the version of a list, or of the ITL that was made with it, by its digest.
func KnownVersions(versions []capf.CTLVersion) func(sum [sha256.Size]byte) (version int, known bool) {
	byDigest := make(map[string]int, len(versions))
	for _, one := range versions {
		for _, digest := range []string{one.SHA256, one.ITLSHA256} {
			byDigest[digest] = max(byDigest[digest], int(one.Version)) // one that was put back has two
		}
	}
	return func(sum [sha256.Size]byte) (int, bool) {
		version, known := byDigest[hex.EncodeToString(sum[:])]
		return version, known
	}
}
