package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
)

const (
	apiServer         = "kube-apiserver"
	controllerManager = "kube-controller-manager"

	// Within this a start has succeeded or failed; two to three seconds are usual on two free cores.
	patience = 2 * time.Minute
)

// plane is a running control plane.
type plane struct {
	dir         string
	etcd        *embed.Etcd
	port        int
	roots       *x509.CertPool
	server      *process
	controllers *process
}

func begin(dir string) (*plane, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	plane := &plane{dir: dir}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	plane.port = port
	if plane.roots, err = writeIdentities(dir, fmt.Sprintf("https://127.0.0.1:%d", port)); err != nil {
		return nil, err
	}
	if plane.etcd, err = startEtcd(dir); err != nil {
		return nil, fmt.Errorf("etcd: %w", err)
	}
	if err := plane.startServer(); err != nil {
		plane.end()
		return nil, err
	}
	if err := plane.startControllers(); err != nil {
		plane.end()
		return nil, err
	}
	return plane, nil
}

func (p *plane) end() {
	p.controllers.kill()
	p.server.kill()
	p.etcd.Close()
}

func startEtcd(dir string) (*embed.Etcd, error) {
	config := embed.NewConfig()
	config.Dir = filepath.Join(dir, "etcd")
	config.LogLevel = "error"
	config.LogOutputs = []string{filepath.Join(dir, "etcd.log")}
	// Nothing here outlives the process: a lost write after a crash of the machine is no loss.
	config.UnsafeNoFsync = true
	any := []url.URL{{Scheme: "http", Host: "127.0.0.1:0"}}
	config.ListenPeerUrls, config.ListenClientUrls = any, any
	etcd, err := embed.StartEtcd(config)
	if err != nil {
		return nil, err
	}
	select {
	case <-etcd.Server.ReadyNotify():
		return etcd, nil
	case err := <-etcd.Err():
		return nil, err
	case <-time.After(patience):
		etcd.Close()
		return nil, fmt.Errorf("not ready within %s", patience)
	}
}

func (p *plane) startServer() error {
	in := func(name string) string { return filepath.Join(p.dir, name) }
	policy := "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules: [{level: Metadata}]\n"
	if err := os.WriteFile(in("audit-policy.yaml"), []byte(policy), 0o600); err != nil {
		return err
	}
	server, err := startProcess(p.dir, apiServer,
		"--etcd-servers=http://"+p.etcd.Clients[0].Addr().String(),
		"--bind-address=127.0.0.1",
		"--advertise-address=127.0.0.1",
		fmt.Sprintf("--secure-port=%d", p.port),
		"--tls-cert-file="+in("server.crt"),
		"--tls-private-key-file="+in("server.key"),
		"--client-ca-file="+in("ca.crt"),
		"--authorization-mode=RBAC",
		"--service-cluster-ip-range=10.0.0.0/24",
		"--endpoint-reconciler-type=none",
		"--disable-admission-plugins=ServiceAccount",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file="+in("accounts.pub"),
		"--service-account-signing-key-file="+in("accounts.key"),
		"--audit-policy-file="+in("audit-policy.yaml"),
		"--audit-log-path="+in("audit.log"),
		"--profiling=false",
	)
	if err != nil {
		return err
	}
	p.server = server
	return p.awaitServer()
}

func (p *plane) awaitServer() error {
	certificate, err := tls.LoadX509KeyPair(filepath.Join(p.dir, "admin.crt"), filepath.Join(p.dir, "admin.key"))
	if err != nil {
		return err
	}
	client := &http.Client{
		Timeout: 5 * time.Second,
		Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: p.roots, Certificates: []tls.Certificate{certificate}},
		},
	}
	defer client.CloseIdleConnections()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		answer, err := client.Get(fmt.Sprintf("https://127.0.0.1:%d/readyz", p.port))
		if err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-p.server.ended:
			return fmt.Errorf("%s has ended: see %s.log in %s", apiServer, apiServer, p.dir)
		case <-time.After(50 * time.Millisecond):
		}
	}
	return fmt.Errorf("%s is not ready within %s: see %s.log in %s", apiServer, patience, apiServer, p.dir)
}

func (p *plane) startControllers() error {
	controllers, err := startProcess(p.dir, controllerManager,
		"--kubeconfig="+filepath.Join(p.dir, "admin.kubeconfig"),
		"--authentication-kubeconfig="+filepath.Join(p.dir, "admin.kubeconfig"),
		"--authorization-kubeconfig="+filepath.Join(p.dir, "admin.kubeconfig"),
		// Namespaces end, default service accounts exist, owner references are collected, roles are aggregated.
		"--controllers=namespace-controller,garbage-collector-controller,serviceaccount-controller,clusterrole-aggregation-controller",
		"--leader-elect=false",
		"--secure-port=0",
	)
	p.controllers = controllers
	return err
}

// process is a part of the control plane that runs on its own.
type process struct {
	command *exec.Cmd
	input   interface{ Close() error }
	ended   chan struct{}
}

// startProcess runs this same program as one of the commands of Kubernetes.
func startProcess(dir, name string, flags ...string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	log, err := os.OpenFile(filepath.Join(dir, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	command := exec.Command(self)
	command.Args = append([]string{name}, flags...)
	command.Stdout, command.Stderr = log, log
	input, err := command.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, err
	}
	p := &process{command: command, input: input, ended: make(chan struct{})}
	go func() {
		_ = command.Wait()
		close(p.ended)
	}()
	return p, nil
}

func (p *process) kill() {
	if p == nil {
		return
	}
	_ = p.command.Process.Kill()
	<-p.ended
	_ = p.input.Close()
}

func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}
