package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"net/netip"

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
