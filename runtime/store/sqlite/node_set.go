package sqlite

import (
	"bytes"
	"context"
	"strings"

	"capf/runtime/capf"
	"capf/runtime/store"
)

// ChangeNode lets a function change a server of the cluster, in one step: nobody sees the cluster without it. Its name,
// its time and whether it is the publisher stay. It gives the names of what has changed, none where all is as it was.
// CodeNotFound where there is no such server; where the function has an error, that one, and nothing is changed.
func (s *Store) ChangeNode(ctx context.Context, name string, change func(*capf.Node) error, actor string) (changed []string, err error) {
	err = s.writer.Do(ctx, func(tx *store.Statements) error {
		before, err := nodeNamed(tx, name)
		if err != nil {
			return err
		}
		after := before
		if err := change(&after); err != nil {
			return err
		}
		if err := after.Validate(); err != nil {
			return err
		}
		if changed = nodeChanges(before, after); len(changed) == 0 {
			return nil
		}
		_, err = tx.Exec(`UPDATE nodes SET role = ?2, address = ?3, dns_name = ?4, certificate = ?5, target = ?6, certificates_dir = ?7, tftp_dir = ?8, tvs_certificate = ?9
			WHERE name = +?1`, name, string(after.Role), after.Address.String(), after.DNSName, after.Certificate, after.Target,
			after.CertificatesDir, after.TFTPDir, after.TVSCertificate)
		if err != nil {
			return err
		}
		return s.audit(tx, actor, "node set", name, strings.Join(changed, " "))
	})
	if err != nil {
		return nil, err
	}
	return changed, nil
}

// nodeChanges names the settings in which two nodes differ, as the command does.
func nodeChanges(before, after capf.Node) (names []string) {
	for _, setting := range []struct {
		name  string
		other bool
	}{
		{"role", before.Role != after.Role}, {"address", before.Address != after.Address}, {"dns-name", before.DNSName != after.DNSName},
		{"certificate", !bytes.Equal(before.Certificate, after.Certificate)}, {"target", before.Target != after.Target},
		{"certificates", before.CertificatesDir != after.CertificatesDir}, {"tftp", before.TFTPDir != after.TFTPDir},
		{"tvs-certificate", !bytes.Equal(before.TVSCertificate, after.TVSCertificate)},
	} {
		if setting.other {
			names = append(names, setting.name)
		}
	}
	return names
}
