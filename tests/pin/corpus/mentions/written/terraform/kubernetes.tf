resource "kubernetes_deployment" "app" {
  spec {
    template {
      spec {
        init_container {
          image = "busybox:1.36"
        }
        container {
          name  = "app"
          image = var.canary ? "acme/app:canary" : "acme/app:stable"
        }
      }
    }
  }
}

resource "docker_image" "redis" {
  name = "redis:7-alpine"
}

resource "docker_container" "redis" {
  name  = "redis"
  image = docker_image.redis.image_id
}

resource "google_compute_instance" "vm" {
  boot_disk {
    initialize_params {
      image = "debian-cloud/debian-12"
    }
  }
}

resource "digitalocean_droplet" "d" {
  image = "ubuntu-22-04-x64"
}

resource "google_cloud_run_v2_service" "s" {
  template {
    containers {
      image = "us-docker.pkg.dev/cloudrun/container/hello"
    }
  }
}

module "service" {
  source          = "./service"
  container_image = "acme/worker:1.4"
}
