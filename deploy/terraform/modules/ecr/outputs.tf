output "repositories" {
  description = "Addresses of the repositories, by image."
  value       = { for image, repository in module.repository : image => repository.repository_url }
}
