"""Customers and devices: every kind of field and relation that matters to the recording of changes."""

from __future__ import annotations

import uuid

from django.db import models


class Tag(models.Model):
    name = models.CharField(max_length=50, unique=True)

    def __str__(self):
        return self.name


class ActiveCustomers(models.Manager):
    """A default manager that hides rows, as real projects have."""

    def get_queryset(self):
        return super().get_queryset().filter(hidden=False)


class Customer(models.Model):
    name = models.CharField(max_length=100)
    external_id = models.CharField(max_length=50, null=True, blank=True, unique=True)
    balance = models.DecimalField(max_digits=10, decimal_places=2, default=0)
    joined = models.DateField(null=True)
    contract = models.FileField(upload_to="contracts", blank=True)
    settings = models.JSONField(default=dict, blank=True)
    comment = models.TextField(blank=True)
    photo = models.BinaryField(default=b"", blank=True)
    hidden = models.BooleanField(default=False)
    updated = models.DateTimeField(auto_now=True)
    tags = models.ManyToManyField(Tag, blank=True, related_name="customers")
    friends = models.ManyToManyField("self", blank=True)

    active = ActiveCustomers()
    objects = models.Manager()

    def __str__(self):
        return self.name


class Cpe(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    cpename = models.CharField(max_length=50)
    realm = models.CharField(max_length=20, default="pim")
    customer = models.ForeignKey(Customer, null=True, on_delete=models.CASCADE, related_name="cpes")
    installer = models.ForeignKey("auth.User", null=True, blank=True, on_delete=models.SET_NULL)
    postalcode = models.CharField(max_length=10, blank=True)
    wifi_password = models.CharField(max_length=50, blank=True)
    reboots = models.IntegerField(default=0)

    class Meta:
        unique_together = (("cpename", "realm"),)

    def __str__(self):
        return self.cpename


class Device(models.Model):
    sn = models.CharField(max_length=20)


class Ont(Device):
    """Registered, while its parent is not."""

    profile = models.CharField(max_length=20)
    tags = models.ManyToManyField(Tag, through="OntTag")

    def __str__(self):
        return self.sn


class OntTag(models.Model):
    ont = models.ForeignKey(Ont, on_delete=models.CASCADE)
    tag = models.ForeignKey(Tag, on_delete=models.CASCADE)
    note = models.CharField(max_length=10, blank=True)


class Unwatched(models.Model):
    name = models.CharField(max_length=50)
