package daemon

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"strings"

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

// heldLists is where the lists of earlier versions are.
type heldLists interface {
	CTL(ctx context.Context, version int64) (capf.CTLVersion, error)
}

// trouble is what keeps nodes from holding what they should, by kind.
type trouble struct {
	unreachable bool
	foreign     bool     // a list that is not known here
	kept        []string // lists that ours does not succeed
	plain       bool     // nothing but that nobody has brought it
}

// Advice says what helps nodes that do not hold what they should by the newest list, one part for each kind of trouble: one
// that cannot be reached gets nothing, and one that holds a list which ours does not succeed keeps it. It is empty where
// all is well.
func Advice(ctx context.Context, lists heldLists, latest capf.CTLVersion, statuses []distribute.NodeStatus) (string, error) {
	var found trouble
	for _, node := range statuses {
		if err := found.add(ctx, lists, latest, node); err != nil {
			return "", err
		}
	}
	var words []string
	if found.unreachable {
		words = append(words, "see first that the unreachable can be reached: `capf node check` tells more")
	}
	if len(found.kept) > 0 {
		words = append(words, fmt.Sprintf("`capf ctl distribute` does not replace %s, which ours does not succeed: build one that is signed by a token of it", strings.Join(found.kept, ", ")))
	}
	if found.foreign {
		words = append(words, "`capf ctl distribute --dry-run` tells whether ours may replace a list that is not known here")
	}
	if found.plain {
		words = append(words, "`capf ctl distribute` brings it")
	}
	return strings.Join(words, "; "), nil
}

// add finds out what is the matter with one node.
func (t *trouble) add(ctx context.Context, lists heldLists, latest capf.CTLVersion, node distribute.NodeStatus) error {
	blocked := false
	for _, file := range node.Files {
		switch {
		case !distribute.IsList(file.Path):
		case file.State == distribute.StateForeign:
			t.foreign, blocked = true, true
		case file.State == distribute.StateOld:
			follows, err := succeeds(ctx, lists, latest, file)
			if err != nil {
				return err
			}
			if !follows {
				t.kept, blocked = append(t.kept, fmt.Sprintf("version %d on %s", file.Version, node.Node)), true
			}
		}
	}
	unreachable := node.State == distribute.StateUnreachable
	t.unreachable = t.unreachable || unreachable
	t.plain = t.plain || !blocked && !unreachable && node.State != distribute.StateEqual
	return nil
}

// succeeds tells whether phones with an earlier list of ours take the newest; that it is older does not matter, since it
// is known to come after.
func succeeds(ctx context.Context, lists heldLists, latest capf.CTLVersion, held distribute.FileStatus) (bool, error) {
	before, err := lists.CTL(ctx, int64(held.Version))
	if err != nil {
		return false, err
	}
	if distribute.IsITL(held.Path) {
		return distribute.Succeeds(latest.ITL, before.ITL), nil
	}
	return distribute.Succeeds(latest.File, before.File), nil
}
