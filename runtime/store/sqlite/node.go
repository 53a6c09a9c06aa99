package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"net/netip"
	"strings"

	"capf/runtime/capf"
	"capf/runtime/store"
)

const selectNodes = `SELECT name, role, address, dns_name, publisher, certificate, target, certificates_dir, tftp_dir, added_at, tvs_certificate FROM nodes`

// AddNode adds a server of the cluster. CodeConflict where the name is taken, or where it would be a
// second publisher. A zero AddedAt is set to now.
func (s *Store) AddNode(ctx context.Context, node capf.Node, actor string) error {
	if err := node.Validate(); err != nil {
		return err
	}
	if node.AddedAt.IsZero() {
		node.AddedAt = s.now()
	}
	return s.writer.Do(ctx, func(tx *store.Statements) error {
		if err := checkNode(tx, node); err != nil {
			return err
		}
		_, err := tx.Exec(`INSERT INTO nodes (name, role, address, dns_name, publisher, certificate, target, certificates_dir, tftp_dir, added_at, tvs_certificate)
			VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)`,
			node.Name, string(node.Role), node.Address.String(), node.DNSName, node.Publisher, node.Certificate, node.Target,
			node.CertificatesDir, node.TFTPDir, node.AddedAt.Unix(), node.TVSCertificate)
		if err != nil {
			return err
		}
		detail := fmt.Sprintf("role=%s address=%s publisher=%t", node.Role, node.Address, node.Publisher)
		return s.audit(tx, actor, "node add", node.Name, detail)
	})
}

func checkNode(tx *store.Statements, node capf.Node) error {
	var name string
	taken, err := tx.First(store.Into(&name), `SELECT name FROM nodes WHERE name = +?1`, node.Name)
	if err != nil {
		return err
	}
	if taken {
		return &capf.Error{Code: capf.CodeConflict, Message: "node " + node.Name + " is in the store already",
			Hint: "remove it first with `capf node remove`"}
	}
	if !node.Publisher {
		return nil
	}
	taken, err = tx.First(store.Into(&name), `SELECT name FROM nodes WHERE publisher = 1`)
	if err != nil || !taken {
		return err
	}
	return &capf.Error{Code: capf.CodeConflict, Message: fmt.Sprintf("node %s as the publisher: that is %s", node.Name, name),
		Hint: "a cluster has one publisher: remove the other, or leave --publisher out"}
}

// Nodes gives the servers of the cluster: the publisher, then the others by name.
func (s *Store) Nodes(ctx context.Context) ([]capf.Node, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return store.Collect(s.reads, scanNode, selectNodes+` ORDER BY publisher DESC, name`)
}

// Node gives a server by its name, with CodeNotFound where there is none.
func (s *Store) Node(ctx context.Context, name string) (capf.Node, error) {
	if err := ctx.Err(); err != nil {
		return capf.Node{}, err
	}
	return nodeNamed(s.reads, name)
}

func nodeNamed(statements *store.Statements, name string) (node capf.Node, err error) {
	found, err := statements.First(func(cursor store.Scanner) (err error) {
		node, err = scanNode(cursor)
		return err
	}, selectNodes+` WHERE name = +?1`, name)
	if err == nil && !found {
		err = noNode(name)
	}
	return node, err
}

func noNode(name string) error {
	return &capf.Error{Code: capf.CodeNotFound, Message: fmt.Sprintf("node %q is not in the store", name), Hint: "see `capf node list`"}
}

func scanNode(cursor store.Scanner) (node capf.Node, err error) {
	var address string
	var addedAt sql.NullInt64
	err = cursor.Scan(&node.Name, &node.Role, &address, &node.DNSName, &node.Publisher, &node.Certificate, &node.Target,
		&node.CertificatesDir, &node.TFTPDir, &addedAt, &node.TVSCertificate)
	if err != nil {
		return capf.Node{}, err
	}
	node.AddedAt = store.Time(addedAt)
	node.Address, err = netip.ParseAddr(address)
	return node, err
}

// RemoveNode removes a server and what was delivered to it. CodeNotFound where there is none.
func (s *Store) RemoveNode(ctx context.Context, name, actor string) error {
	return s.remove(ctx, `DELETE FROM nodes WHERE name = +?1`, name, actor, "node remove", noNode)
}

// remove deletes a named row.
func (s *Store) remove(ctx context.Context, query, name, actor, action string, missing func(string) error) error {
	return s.writer.Do(ctx, func(tx *store.Statements) error {
		removed, err := tx.Exec(query, name)
		if err != nil {
			return err
		}
		if removed == 0 {
			return missing(name)
		}
		return s.audit(tx, actor, action, name, "")
	})
}

// RecordDelivery keeps the last outcome of distributing to a node. CodeNotFound where there is no such node.
func (s *Store) RecordDelivery(ctx context.Context, delivery capf.Delivery) error {
	return s.writer.Do(ctx, func(tx *store.Statements) error {
		var name string
		found, err := tx.First(store.Into(&name), `SELECT name FROM nodes WHERE name = +?1`, delivery.Node)
		if err != nil {
			return err
		}
		if !found {
			return noNode(delivery.Node)
		}
		_, err = tx.Exec(`INSERT INTO deliveries (node, version, outcome, detail, at) VALUES (?1, ?2, ?3, ?4, ?5)
			ON CONFLICT (node) DO UPDATE SET version = excluded.version, outcome = excluded.outcome, detail = excluded.detail, at = excluded.at`,
			delivery.Node, delivery.Version, delivery.Outcome, delivery.Detail, delivery.At.Unix())
		if err != nil {
			return err
		}
		return markDistributed(tx, delivery)
	})
}

// Deliveries gives the last outcome for each node that has one, by name.
func (s *Store) Deliveries(ctx context.Context) ([]capf.Delivery, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return store.Collect(s.reads, scanDelivery, `SELECT node, version, outcome, detail, at FROM deliveries ORDER BY node`)
}

func scanDelivery(cursor store.Scanner) (delivery capf.Delivery, err error) {
	var at sql.NullInt64
	err = cursor.Scan(&delivery.Node, &delivery.Version, &delivery.Outcome, &delivery.Detail, &at)
	delivery.At = store.Time(at)
	return delivery, err
}

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
