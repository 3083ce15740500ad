// Controlplane is a real Kubernetes control plane on loopback for tests: etcd, kube-apiserver and the few loops of
// kube-controller-manager that tests need. No pod ever runs.
//
//	controlplane DIR
//
// makes certificates, configurations and etcd's data in DIR, prints a line "ready" when the API server is, and then takes
// orders on standard input, a line each: "stop" (the API server is killed), "start" (it is started again, with the same
// address and data). Each is answered by a line "stopped" or "ready". It ends, with everything it started, when standard
// input ends. DIR then holds admin.kubeconfig, audit.log and the logs.
//
//	controlplane git DIR
//
// serves the bare Git repositories in DIR by http, prints their address, and ends when standard input does.
//
//	controlplane tie PROGRAM ARGUMENT...
//
// runs a program that ends when standard input does, which it does even when the one who started it is killed.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
)

func main() {
	// The commands of Kubernetes set up signal handlers and flags once a process: each runs in one of its own.
	switch filepath.Base(os.Args[0]) {
	case apiServer:
		endWithInput()
		os.Exit(cli.Run(apiserver.NewAPIServerCommand()))
	case controllerManager:
		endWithInput()
		os.Exit(cli.Run(controllers.NewControllerManagerCommand()))
	}
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "controlplane:", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	switch {
	case len(arguments) == 2 && arguments[0] == "git":
		return serveGit(arguments[1])
	case len(arguments) >= 2 && arguments[0] == "tie":
		return tie(arguments[1], arguments[2:])
	case len(arguments) == 1 && !strings.HasPrefix(arguments[0], "-"):
		return serve(arguments[0])
	}
	return errors.New("usage: controlplane DIR | git DIR | tie PROGRAM ARGUMENT...")
}

func tie(program string, arguments []string) error {
	command := exec.Command(program, arguments...)
	command.Stdout, command.Stderr = os.Stdout, os.Stderr
	if err := command.Start(); err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = command.Process.Kill()
	}()
	return command.Wait()
}

func serve(dir string) error {
	plane, err := begin(dir)
	if err != nil {
		return err
	}
	defer plane.end()
	fmt.Println("ready")
	orders := bufio.NewScanner(os.Stdin)
	for orders.Scan() {
		switch order := orders.Text(); order {
		case "stop":
			plane.server.kill()
			fmt.Println("stopped")
		case "start":
			if err := plane.startServer(); err != nil {
				return err
			}
			fmt.Println("ready")
		default:
			return fmt.Errorf("unknown order %q: there are stop and start", order)
		}
	}
	return orders.Err()
}

// endWithInput ends this process when the one that started it has: even a killed parent closes the pipe.
func endWithInput() {
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
}
